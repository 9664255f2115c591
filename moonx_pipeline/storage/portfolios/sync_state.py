"""The state of a user's syncs at this moment, in one query."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from moonx_pipeline.storage.requests.pause import Pause


class RunningSync(NamedTuple):
    """A running sync of the user."""

    operation_id: UUID
    trigger: str
    started_at: datetime


class SyncState(NamedTuple):
    """The state of a user's syncs.

    Attributes:
        user_id: The user.
        is_enabled: Whether syncs are enabled.
        last_sync_at: End of the last sync that read a chain.
        last_active_at: When the user was last active.
        next_sync_at: When the user is due; ``None`` if they are not synced unattended, or a sync of theirs runs.
        total_value_usd: As last stored.
        tokens: The number of holdings, without spam.
        active: How many of the user's syncs run or wait to begin.
        running: The one that began last.
        pending_request_id: A request that no sync serves yet.
        last_error: What went wrong last, and when; ``None`` if the last sync was complete.
        pause: The global pause, while it lasts.
    """

    user_id: str
    is_enabled: bool
    last_sync_at: datetime | None
    last_active_at: datetime | None
    next_sync_at: datetime | None
    total_value_usd: Decimal | None
    tokens: int
    active: int
    running: RunningSync | None
    pending_request_id: UUID | None
    last_error: tuple[str, datetime] | None
    pause: Pause | None


_STATE = """
SELECT coalesce(s.is_sync_enabled, true), s.last_sync_at, s.last_active_at,
       CASE WHEN s.is_sync_enabled AND o.id IS NULL THEN s.next_sync_at END, s.total_value_usd,
       (SELECT count(*) FROM user_token_holdings h WHERE h.user_id = u.user_id AND NOT h.is_spam),
       coalesce(o.active, 0), o.id, o.trigger, o.started_at,
       (SELECT r.id FROM sync_requests r WHERE r.user_id = u.user_id AND r.status = 'pending'),
       s.last_error_message, s.last_error_at, p.reason, p.paused_at, p.paused_by
FROM (SELECT %s::text AS user_id) u
LEFT JOIN user_sync_status s USING (user_id)
LEFT JOIN LATERAL (SELECT o.id, o.trigger, o.started_at, count(*) OVER () AS active FROM sync_operations o
                   WHERE o.user_id = u.user_id AND o.status IN ('pending', 'running')
                   ORDER BY o.started_at DESC, o.id LIMIT 1) o ON true
LEFT JOIN sync_pause p ON true
"""


def read_sync_state(connection: Connection, user_id: str) -> SyncState:
    """The state of a user's syncs; empty for an unknown user."""
    row = connection.exec_driver_sql(_STATE, (user_id,)).one()
    operation_id, trigger, started_at, pending_request_id, error, error_at, *pause = row[7:]
    return SyncState(
        user_id,
        is_enabled=row[0],
        last_sync_at=row[1],
        last_active_at=row[2],
        next_sync_at=row[3],
        total_value_usd=row[4],
        tokens=row[5],
        active=row[6],
        running=RunningSync(operation_id, trigger, started_at) if operation_id else None,
        pending_request_id=pending_request_id,
        last_error=(error, error_at) if error and error_at else None,
        pause=Pause(*pause) if pause[0] else None,
    )
