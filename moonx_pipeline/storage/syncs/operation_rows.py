"""A sync as those who look it up get it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID


class OperationRow(NamedTuple):
    """One sync as a list shows it."""

    operation_id: UUID
    type: str
    status: str
    priority: str
    trigger: str
    started_at: datetime
    completed_at: datetime | None
    duration_ms: int | None
    tokens_synced: int
    chains_synced: int
    total_value_usd: Decimal | None
    error_code: str | None
    error_message: str | None
    retry_count: int
    portfolio_version: int | None


class OperationDetailRow(NamedTuple):
    """One sync with how it went.

    Attributes:
        operation: As a list shows it.
        chains: How the reading of each wallet and chain ended; empty if none was recorded.
        provider_calls, compute_units: What it used of the providers.
        request_id: The request that it serves, if one started it.
        worker_id: The process that executed it.
        run_id: The Dagster run that executed it.
    """

    operation: OperationRow
    chains: list[dict[str, Any]]
    provider_calls: int
    compute_units: int
    request_id: UUID | None
    worker_id: str | None
    run_id: str | None
