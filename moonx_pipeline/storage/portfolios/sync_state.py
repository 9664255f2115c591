"""The state of a user's syncs at this moment, in one query."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from moonx_pipeline.storage.connection.statements import sql_beside
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


_STATE: Final = sql_beside(__file__, "read_sync_state")


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
