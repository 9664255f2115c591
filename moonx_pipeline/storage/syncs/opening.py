"""Opens syncs: locks their users, gives fencing tokens, records operations and claims the requests they serve."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from moonx_pipeline.domain.events import SyncRef
from moonx_pipeline.storage.connection.recordset import recordset
from moonx_pipeline.storage.connection.statements import sql_beside


class RequestedUser(NamedTuple):
    """A user to be synced by request, under their lock.

    Attributes:
        version: Of their portfolio now.
        wallets: First registered first; empty for a user nobody registered.
        never_read: Whether a wallet of theirs was never read on any chain.
        existing_status: Status of the operation if this very sync was opened before.
        enabled: Whether their syncs are enabled.
        tokens_held: Rows of their holdings, spam included.
        last_ended: When their last sync ended; this one waited for its lock, so it starts no earlier.
        swept: Running syncs of sweeps, each with its start; this sync replaces them.
    """

    version: int
    wallets: tuple[str, ...]
    never_read: bool
    existing_status: str | None
    enabled: bool
    tokens_held: int
    last_ended: datetime | None
    swept: tuple[SyncRef, ...]


# Two statements: the second sees what was committed while the first waited for the lock.
_LOCK: Final = sql_beside(__file__, "lock_requested")


def lock_requested(connection: Connection, user_id: str, operation_id: UUID) -> RequestedUser:
    """Locks a user and reads what a sync of theirs needs to know.

    Args:
        connection: Inside a transaction, which holds the lock until it ends.
        user_id: The user.
        operation_id: The sync to open.
    """
    row = connection.exec_driver_sql(_LOCK, {"user": user_id, "operation": operation_id}).one()
    version, wallets, never_read, status, enabled, tokens_held, last_ended, swept = row
    refs = [
        SyncRef(UUID(sync), user_id, wallets[0] if wallets else None, "schedule", datetime.fromisoformat(at), retries)
        for sync, at, retries in swept or ()
    ]
    return RequestedUser(version, tuple(wallets), never_read, status, enabled, tokens_held, last_ended, tuple(refs))


class NewOperation(NamedTuple):
    """A sync to open, and the process and run that execute it.

    Attributes:
        operation_id, user_id: The sync and its user.
        type: ``sweep`` for one of a sweep, else ``portfolio``.
        priority: ``high``, ``medium`` or ``low``; a request's own takes precedence.
        trigger: What started it.
        request_id: The request it serves, if one started it.
        worker_id, run_id: The process and the run.
        retry: Which try it is, from 0.
        started_at: When it starts.
        is_activity: Whether it counts as the user's activity.
    """

    operation_id: UUID
    user_id: str
    type: str
    priority: str
    trigger: str
    request_id: UUID | None
    worker_id: str
    run_id: str | None
    retry: int
    started_at: datetime
    is_activity: bool


class OpenedOperation(NamedTuple):
    """A sync recorded as running.

    Attributes:
        fence: Its fencing token; a repeated opening keeps it.
        started_at: When; if the try is repeated, the start of the first.
        retry: Which try it is.
    """

    fence: int
    started_at: datetime
    retry: int


_OPEN: Final = sql_beside(__file__, "open_operations")


def open_operations(
    connection: Connection, syncs: Sequence[NewOperation], lease_until: datetime
) -> dict[UUID, OpenedOperation]:
    """Records syncs of different users as running, and claims the requests they serve, in one statement.

    Args:
        connection: Inside a transaction that holds the users' locks.
        syncs: At most one a user.
        lease_until: When the syncs have surely ended; until then no sweep takes their users.

    Returns:
        By operation. One whose request another sync has taken is left out.
    """
    rows = connection.exec_driver_sql(
        _OPEN, {"syncs": recordset(sync._asdict() for sync in syncs), "lease_until": lease_until}
    )
    return {row[0]: OpenedOperation(*row[1:]) for row in rows}


_REFUSE: Final = sql_beside(__file__, "refuse_operation")


def refuse_operation(connection: Connection, new: NewOperation, *, code: str, message: str) -> tuple[str, int] | None:
    """Records a sync that did not open, under the user's lock.

    Returns:
        The user's first wallet and the version of their portfolio; ``None`` if the operation is recorded already, or
        there is no such user.
    """
    row = connection.exec_driver_sql(_REFUSE, {**new._asdict(), "code": code, "message": message}).one_or_none()
    return None if row is None else (row[0], row[1])
