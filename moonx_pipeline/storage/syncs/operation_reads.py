"""A user's syncs as they look them up: a list of the last ones, and one in detail."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection


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


_COLUMNS = (
    "id, type, status, priority, trigger, started_at, completed_at, duration_ms, tokens_synced, chains_synced, "
    "total_value_usd, error_code, error_message, retry_count, portfolio_version"
)


def list_operations(
    connection: Connection,
    user_id: str,
    *,
    limit: int,
    status: str | None,
    days: int,
    before: OperationRow | None = None,
) -> list[OperationRow]:
    """A user's syncs that began in the last days, newest first.

    Args:
        connection: Any.
        user_id: The user.
        limit: How many at most.
        status: Only those of this status; ``None`` for all.
        days: Of 24 hours each.
        before: Only what comes after it in this order; ``None`` for the first page.
    """
    rows = connection.exec_driver_sql(
        f"SELECT {_COLUMNS} FROM sync_operations WHERE user_id = %(user)s "  # noqa: S608 - a constant
        "AND started_at > now() - make_interval(days => %(days)s) "
        "AND (%(status)s::text IS NULL OR status = %(status)s) AND (%(since)s::timestamptz IS NULL "
        "OR started_at < %(since)s OR (started_at = %(since)s AND id > %(last)s)) "
        "ORDER BY started_at DESC, id LIMIT %(limit)s",
        {
            "user": user_id,
            "days": days,
            "status": status,
            "limit": limit,
            "since": before.started_at if before else None,
            "last": before.operation_id if before else None,
        },
    )
    return [OperationRow(*row) for row in rows]


def read_operation(connection: Connection, user_id: str, operation_id: UUID) -> OperationDetailRow | None:
    """One sync of a user; ``None`` if they have none of that id."""
    row = connection.exec_driver_sql(
        f"SELECT {_COLUMNS}, coalesce(chains, '[]'), provider_calls, compute_units, request_id, worker_id, "  # noqa: S608
        "dagster_run_id FROM sync_operations WHERE id = %s AND user_id = %s",
        (operation_id, user_id),
    ).one_or_none()
    if row is None:
        return None
    of_list = len(OperationRow._fields)
    return OperationDetailRow(OperationRow(*row[:of_list]), *row[of_list:])


def is_own(connection: Connection, user_id: str, sync_id: UUID) -> bool:
    """Whether an id names a sync or a request of the user."""
    found: bool = connection.exec_driver_sql(
        "SELECT EXISTS (SELECT 1 FROM sync_operations WHERE id = %(id)s AND user_id = %(user)s) "
        "OR EXISTS (SELECT 1 FROM sync_requests WHERE id = %(id)s AND user_id = %(user)s)",
        {"id": sync_id, "user": user_id},
    ).scalar_one()
    return found
