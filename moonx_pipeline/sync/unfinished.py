"""How a sync ends that came to nothing through no fault of its user: lost, handed back, or cancelled."""

from __future__ import annotations

from datetime import datetime

from moonx_pipeline.domain.events import Event, SyncFacts, sync_failed
from moonx_pipeline.storage.operations import LockedUser, OperationEnd


def end_unfinished(
    facts: SyncFacts,
    user: LockedUser,
    *,
    status: str,
    code: str,
    message: str,
    now: datetime,
    due_at: datetime | None = None,
) -> tuple[OperationEnd, Event]:
    """What is stored and told of its end.

    Args:
        facts: Of the sync.
        user: Under his lock; his failures stay as they were.
        status: ``failed`` or ``cancelled``.
        code: Why, for programs.
        message: Why, one sentence for people.
        now: When it ends.
        due_at: When he is due again; ``None`` leaves it.
    """
    duration_ms = max(0, int((now - facts.started_at).total_seconds() * 1000))
    end = OperationEnd(
        operation_id=facts.operation_id,
        user_id=user.user_id,
        status=status,
        completed_at=now,
        duration_ms=duration_ms,
        version=user.version,
        error_code=code,
        error_message=message,
        next_sync_at=due_at,
        failures=user.failures,
    )
    event = sync_failed(
        facts, version=user.version, at=now, duration_ms=duration_ms, code=code, message=message, retry_at=due_at
    )
    return end, event
