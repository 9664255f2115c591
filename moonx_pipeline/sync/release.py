"""Releases claims: cancels syncs that a sweep opened and did not finish, and makes their users due at once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from moonx_pipeline.domain.reasons import HANDED_BACK
from moonx_pipeline.storage.connection.retries import Database
from moonx_pipeline.storage.syncs.claims import unfinished_claims
from moonx_pipeline.storage.syncs.operations import lock_users
from moonx_pipeline.sync.ending import Ending, count_endings, without_result, write_endings

_SECONDS: Final = 20.0


def release_claims(db: Database, worker_id: str, now: datetime, operations: Sequence[UUID] | None = None) -> int:
    """Cancels the running syncs of a process's sweep; returns how many.

    What still runs in a thread can no longer be stored.

    Args:
        db: The pipeline's database.
        worker_id: The process.
        now: When they end.
        operations: The syncs to release; all of the process by default.
    """
    left, endings = db.transaction(time.monotonic() + _SECONDS, _release, worker_id, now, operations)
    count_endings(endings)
    return left


def _release(
    connection: Connection, worker_id: str, now: datetime, operations: Sequence[UUID] | None
) -> tuple[int, list[Ending]]:
    left = unfinished_claims(connection, worker_id, operations)
    if not left:
        return 0, []
    users = lock_users(connection, [(sync.user_id, sync.operation_id) for sync in left])
    endings = [
        without_result(sync, users[sync.user_id], HANDED_BACK, HANDED_BACK.words, now=now)
        for sync in left
        # A sync stored during the wait for the locks has ended on its own.
        if users[sync.user_id].operation_status == "running"
    ]
    write_endings(connection, endings)
    return len(left), endings
