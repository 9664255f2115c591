"""Opens syncs: locks their users, gives fencing tokens, records operations and claims the requests they serve."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from moonx_pipeline.domain.events import SyncRef
from moonx_pipeline.storage.connection.recordset import recordset


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
_LOCK = """
SELECT 1 FROM user_sync_status WHERE user_id = %(user)s FOR UPDATE;
WITH wallets AS (
    SELECT coalesce(array_agg(w.wallet_address ORDER BY w.position), '{}') AS addresses,
           coalesce(bool_or(NOT EXISTS (
               SELECT 1 FROM user_chain_status c WHERE c.user_id = w.user_id
               AND c.wallet_address = w.wallet_address AND c.last_success_at IS NOT NULL)), false) AS never_read
    FROM user_wallets w WHERE w.user_id = %(user)s
)
SELECT coalesce(s.portfolio_version, 0), w.addresses, w.never_read,
       (SELECT status FROM sync_operations WHERE id = %(operation)s), coalesce(s.is_sync_enabled, true),
       (SELECT count(*) FROM user_token_holdings h WHERE h.user_id = %(user)s),
       greatest(s.last_sync_at, s.last_error_at),
       (SELECT json_agg(json_build_array(o.id, o.started_at, o.retry_count)) FROM sync_operations o
        WHERE o.user_id = %(user)s AND o.type = 'sweep' AND o.status = 'running' AND o.id <> %(operation)s)
FROM wallets w LEFT JOIN user_sync_status s ON s.user_id = %(user)s
"""


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


_OPEN = """
WITH syncs AS (
    SELECT x.*, o.id IS NOT NULL AS is_known FROM json_to_recordset(%(syncs)s::json) AS x(
        operation_id uuid, user_id text, type text, priority text, trigger text, request_id uuid, worker_id text,
        run_id text, retry integer, started_at timestamptz, is_activity boolean)
    LEFT JOIN sync_operations o ON o.id = x.operation_id
), claimed AS (
    UPDATE sync_requests r SET status = 'claimed', claimed_at = now(), sync_operation_id = s.operation_id
    FROM syncs s WHERE r.id = s.request_id AND r.user_id = s.user_id
                   AND (r.status = 'pending' OR r.sync_operation_id = s.operation_id)
    RETURNING s.operation_id, r.priority
), opened AS (
    INSERT INTO user_sync_status AS u (user_id, opened_fence, sync_status, last_active_at, next_sync_at)
    SELECT user_id, CASE WHEN is_known THEN 0 ELSE 1 END, 'running', CASE WHEN is_activity THEN now() END,
           %(lease_until)s
    FROM syncs
    ON CONFLICT (user_id) DO UPDATE
    SET opened_fence = u.opened_fence + excluded.opened_fence, sync_status = 'running',
        last_active_at = coalesce(excluded.last_active_at, u.last_active_at), next_sync_at = excluded.next_sync_at
    RETURNING user_id, opened_fence, portfolio_version
)
INSERT INTO sync_operations AS o (id, user_id, type, status, priority, trigger, request_id, fence, started_at,
                                  worker_id, dagster_run_id, retry_count, portfolio_version)
SELECT s.operation_id, s.user_id, s.type, 'running', coalesce(c.priority, s.priority), s.trigger, s.request_id,
       u.opened_fence, s.started_at, s.worker_id, s.run_id, s.retry, u.portfolio_version
FROM syncs s JOIN opened u USING (user_id) LEFT JOIN claimed c USING (operation_id)
WHERE s.request_id IS NULL OR c.operation_id IS NOT NULL
ON CONFLICT (id) DO UPDATE SET retry_count = o.retry_count + 1
RETURNING id, fence, started_at, retry_count
"""


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


_REFUSE = """
WITH locked AS (
    SELECT user_id, portfolio_version FROM user_sync_status WHERE user_id = %(user_id)s FOR UPDATE
), refused AS (
    INSERT INTO sync_operations (id, user_id, status, priority, trigger, request_id, started_at, completed_at,
                                 duration_ms, worker_id, dagster_run_id, error_code, error_message, portfolio_version)
    SELECT %(operation_id)s, user_id, 'refused', %(priority)s, %(trigger)s, %(request_id)s, %(started_at)s,
           %(started_at)s, 0, %(worker_id)s, %(run_id)s, %(code)s, %(message)s, portfolio_version
    FROM locked
    ON CONFLICT (id) DO NOTHING
    RETURNING portfolio_version
)
SELECT w.wallet_address, r.portfolio_version
FROM refused r, user_wallets w WHERE w.user_id = %(user_id)s ORDER BY w.position LIMIT 1
"""


def refuse_operation(connection: Connection, new: NewOperation, *, code: str, message: str) -> tuple[str, int] | None:
    """Records a sync that did not open, under the user's lock.

    Returns:
        The user's first wallet and the version of their portfolio; ``None`` if the operation is recorded already, or
        there is no such user.
    """
    row = connection.exec_driver_sql(_REFUSE, {**new._asdict(), "code": code, "message": message}).one_or_none()
    return None if row is None else (row[0], row[1])
