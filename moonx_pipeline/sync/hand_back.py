"""Handing back what a sweep took and did not finish: its users are due at once, for whoever comes next."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, Engine

from moonx_pipeline.domain.events import SyncFacts
from moonx_pipeline.metrics.syncs import count_sync
from moonx_pipeline.storage.claims import unfinished_claims
from moonx_pipeline.storage.operations import end_operations, lock_users
from moonx_pipeline.storage.outbox import insert_events
from moonx_pipeline.sync.repeat import in_database
from moonx_pipeline.sync.sources import Sources
from moonx_pipeline.sync.unfinished import end_unfinished

_SECONDS: Final = 20.0
_MESSAGE: Final = "The sweep ended before it came to this user. He is due again."


def hand_back(
    engine: Engine, sources: Sources, worker_id: str, now: datetime, operations: Sequence[UUID] | None = None
) -> int:
    """Ends running syncs of sweeps that a process carries as cancelled; returns how many there were.

    What is still under way in a thread can't be stored any more.

    Args:
        engine: The pipeline's database.
        sources: For how steps are repeated.
        worker_id: The process.
        now: When they end.
        operations: Which; all of the process by default.
    """

    def step() -> int:
        with engine.begin() as connection:
            left = unfinished_claims(connection, worker_id, operations)
            closed = _close(connection, left, now) if left else 0
        for _ in range(closed):
            count_sync("schedule", "cancelled")
        return len(left)

    return in_database(sources.repeats, time.monotonic() + _SECONDS, step)


def _close(connection: Connection, left: list[SyncFacts], now: datetime) -> int:
    users = lock_users(connection, [(sync.user_id, sync.operation_id) for sync in left])
    ended = [
        end_unfinished(
            sync,
            users[sync.user_id],
            status="cancelled",
            code="handed_back",
            message=_MESSAGE,
            now=now,
            due_at=now,
        )
        for sync in left
        # One that was stored while the locks were waited for has told of its end itself.
        if users[sync.user_id].operation_status == "running"
    ]
    end_operations(connection, [end for end, _ in ended])
    insert_events(connection, [event for _, event in ended])
    return len(ended)
