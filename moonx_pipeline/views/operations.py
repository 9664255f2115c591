"""Syncs as JSON: items of ``GET /api/v1/sync/operations``, and one sync with its details."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from moonx_pipeline.domain.events import rfc3339
from moonx_pipeline.domain.money import plain
from moonx_pipeline.storage.syncs.operation_rows import OperationDetailRow, OperationRow


def operation_json(row: OperationRow) -> dict[str, Any]:
    """A sync as an item of a list."""
    return {
        "syncOperationId": str(row.operation_id),
        "type": row.type,
        "status": row.status,
        "priority": row.priority,
        "trigger": row.trigger,
        "startedAt": rfc3339(row.started_at),
        "completedAt": rfc3339(row.completed_at) if row.completed_at else None,
        "durationMs": row.duration_ms,
        "tokensSynced": row.tokens_synced,
        "chainsSynced": row.chains_synced,
        "totalValueUsd": plain(row.total_value_usd) if row.total_value_usd is not None else None,
        "errorCode": row.error_code,
        "errorMessage": row.error_message,
        "retryCount": row.retry_count,
        "portfolioVersion": row.portfolio_version,
    }


def operation_detail_json(row: OperationDetailRow, dagster_url: str | None) -> dict[str, Any]:
    """One sync with its chains, its costs and the run that executed it.

    Args:
        row: The sync.
        dagster_url: The URL of Dagster's pages, if known.
    """
    linked = dagster_url is not None and row.run_id is not None
    return {
        **operation_json(row.operation),
        # Reports stored before codes existed have none.
        "chains": [{"code": None, **chain, "retryAt": _time(chain["retryAt"])} for chain in row.chains],
        "providerCalls": row.provider_calls,
        "computeUnits": row.compute_units,
        "requestId": str(row.request_id) if row.request_id else None,
        "workerId": row.worker_id,
        "dagsterRunId": row.run_id,
        "dagsterRunUrl": f"{dagster_url.rstrip('/')}/runs/{row.run_id}" if dagster_url and linked else None,
    }


def _time(stored: str | None) -> str | None:
    """Converts a time of the stored report, which has microseconds, to the wire format."""
    return None if stored is None else rfc3339(datetime.fromisoformat(stored))
