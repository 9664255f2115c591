"""The system's state as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from moonx_pipeline.domain.events import rfc3339
from moonx_pipeline.storage.monitoring.overview import Overview
from moonx_pipeline.storage.protection.breaker_rows import BreakerRow


def overview_json(overview: Overview) -> dict[str, Any]:
    """An overview as sent and printed; times in UTC, ages in seconds."""
    backlog = overview.backlog
    return {
        "users": {"registered": backlog.users, "due": backlog.users_due, "longestDueSeconds": backlog.due_seconds},
        "pause": None
        if overview.pause is None
        else {
            "since": rfc3339(overview.pause.paused_at),
            "by": overview.pause.paused_by,
            "reason": overview.pause.reason,
        },
        "requests": {"pending": backlog.requests, "oldestSeconds": backlog.request_seconds},
        "outbox": {"unpublished": backlog.events, "oldestSeconds": backlog.event_seconds},
        "running": [
            {
                "syncOperationId": str(operation.operation_id),
                "userId": operation.user_id,
                "trigger": operation.trigger,
                "startedAt": rfc3339(operation.started_at),
                "workerId": operation.worker_id,
                "runId": operation.run_id,
            }
            for operation in overview.running
        ],
        "workers": [
            {
                "id": worker.id,
                "host": worker.host,
                "pid": worker.pid,
                "startedAt": rfc3339(worker.started_at),
                "alive": worker.alive,
                "recoveryMs": worker.recovery_ms,
            }
            for worker in overview.workers
        ],
        "breakers": [breaker_json(breaker) for breaker in overview.breakers],
        "blocks": [
            {
                "key": block.key,
                "since": rfc3339(block.blocked_at),
                "until": rfc3339(block.blocked_until),
                "reason": block.reason,
            }
            for block in overview.blocks
        ],
    }


def breaker_json(breaker: BreakerRow) -> dict[str, Any]:
    """A circuit breaker, an item of ``GET /api/v1/breakers``."""
    return {
        "key": breaker.key,
        "state": breaker.state,
        "since": rfc3339(breaker.opened_at or breaker.changed_at),
        "retryAt": _time(breaker.retry_at),
        "cause": breaker.cause,
        "failureCount": breaker.failure_count,
        "lastError": breaker.last_error,
        "lastFailureAt": _time(breaker.last_failure_at),
    }


def _time(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment else None
