"""How a sync opens: the user's lock, its number, its operation and its request."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection


class OpenedRow(NamedTuple):
    """What opening a sync found.

    Attributes:
        fence: The sync's number among the user's.
        version: The user's portfolio version now.
        wallets: First registered first; empty for a user that nobody registered.
        never_read: Whether a wallet of his was never read on any chain.
        existing_status: Status of the operation where this very sync had been opened before.
        enabled: Whether his syncs are enabled.
        tokens_held: Rows of his holdings, spam included.
        last_ended: When his last sync was over; this one has waited for its lock, so it begins no earlier.
    """

    fence: int
    version: int
    wallets: tuple[str, ...]
    never_read: bool
    existing_status: str | None
    enabled: bool
    tokens_held: int
    last_ended: datetime | None


# Two statements: one that has waited for a lock sees the locked row anew, but the wallets as they were before.
_OPEN = """
SELECT 1 FROM user_sync_status WHERE user_id = %(user)s FOR UPDATE;
WITH existing AS (
    SELECT status, fence FROM sync_operations WHERE id = %(operation)s
), wallets AS (
    SELECT array_agg(w.wallet_address ORDER BY w.position) AS addresses,
           bool_or(NOT EXISTS (SELECT 1 FROM user_chain_status c WHERE c.user_id = w.user_id
                               AND c.wallet_address = w.wallet_address AND c.last_success_at IS NOT NULL)) AS never_read
    FROM user_wallets w WHERE w.user_id = %(user)s
), opened AS (
    INSERT INTO user_sync_status AS s (user_id, opened_fence, sync_status, last_active_at, next_sync_at)
    SELECT %(user)s, 1, 'running', CASE WHEN %(active)s THEN now() END, %(lease_until)s
    FROM wallets WHERE addresses IS NOT NULL
    ON CONFLICT (user_id) DO UPDATE
    SET opened_fence = s.opened_fence + CASE WHEN EXISTS (SELECT 1 FROM existing) THEN 0 ELSE 1 END,
        sync_status = 'running',
        last_active_at = CASE WHEN %(active)s THEN now() ELSE s.last_active_at END,
        next_sync_at = %(lease_until)s
    RETURNING opened_fence, portfolio_version, is_sync_enabled, greatest(last_sync_at, last_error_at) AS last_ended
)
SELECT coalesce(e.fence, o.opened_fence, 0), coalesce(o.portfolio_version, 0), coalesce(w.addresses, '{}'),
       coalesce(w.never_read, false), e.status,
       coalesce(o.is_sync_enabled, true),
       (SELECT count(*) FROM user_token_holdings h WHERE h.user_id = %(user)s), o.last_ended
FROM wallets w LEFT JOIN opened o ON true LEFT JOIN existing e ON true
"""

_BEGIN = """
WITH claim AS (
    UPDATE sync_requests SET status = 'claimed', claimed_at = now(), sync_operation_id = %(operation)s
    WHERE id = %(request)s AND user_id = %(user)s AND (status = 'pending' OR sync_operation_id = %(operation)s)
    RETURNING priority
), swept AS (
    UPDATE sync_operations SET status = 'cancelled', completed_at = greatest(started_at, %(started_at)s),
        error_code = 'superseded',
        error_message = 'A sync of this user that was asked for took the place of the sweep''s.',
        duration_ms = greatest(0, extract(epoch FROM %(started_at)s - started_at) * 1000)
    WHERE user_id = %(user)s AND type = 'sweep' AND status = 'running' AND id <> %(operation)s
    RETURNING id, started_at
)
INSERT INTO sync_operations (id, user_id, status, priority, trigger, request_id, fence, started_at, worker_id,
                             dagster_run_id, retry_count, portfolio_version)
SELECT %(operation)s, %(user)s, 'running', coalesce((SELECT priority FROM claim), %(priority)s), %(trigger)s,
       %(request)s, %(fence)s, greatest(%(started_at)s, (SELECT max(started_at) FROM swept)), %(worker)s, %(run)s,
       %(retry)s, %(version)s
WHERE %(request)s::uuid IS NULL OR EXISTS (SELECT 1 FROM claim)
ON CONFLICT (id) DO UPDATE SET retry_count = sync_operations.retry_count + 1
RETURNING started_at, retry_count, (SELECT json_agg(swept) FROM swept)
"""


def open_user(
    connection: Connection, *, user_id: str, operation_id: UUID, active: bool, lease_until: datetime
) -> OpenedRow:
    """Takes the user's lock and the next number among his syncs; the same operation keeps its number.

    Args:
        connection: Inside a transaction, which holds the lock until it ends.
        user_id: Whose.
        operation_id: Which sync.
        active: Whether a person's act started it, which counts as the user's activity.
        lease_until: When the sync is surely over; until then no sweep takes the user.
    """
    row = connection.exec_driver_sql(
        _OPEN, {"user": user_id, "operation": operation_id, "active": active, "lease_until": lease_until}
    ).one()
    fence, version, wallets, *rest = row
    return OpenedRow._make((fence, version, tuple(wallets), *rest))


class NewOperation(NamedTuple):
    """A sync as it was ordered, and the process and run that carry it."""

    operation_id: UUID
    user_id: str
    trigger: str
    priority: str
    request_id: UUID | None
    worker_id: str
    run_id: str | None
    retry: int = 0

    def parameters(self) -> dict[str, Any]:
        return {
            "operation": self.operation_id, "user": self.user_id, "trigger": self.trigger, "priority": self.priority,
            "request": self.request_id, "worker": self.worker_id, "run": self.run_id, "retry": self.retry,
        }  # fmt: skip


class BegunRow(NamedTuple):
    """A sync that was recorded as running.

    Attributes:
        started_at: When; of a repeated try, of the first.
        retry: Which try it is.
        replaced: Syncs of sweeps whose place it took, with when they started.
    """

    started_at: datetime
    retry: int
    replaced: list[tuple[UUID, datetime]]


def begin_operation(
    connection: Connection, new: NewOperation, *, fence: int, version: int, started_at: datetime
) -> BegunRow | None:
    """Records the operation as running and claims its request; a sweep's sync of the same user is cancelled.

    Returns:
        ``None`` when another sync has the request.
    """
    numbers = {"fence": fence, "version": version, "started_at": started_at}
    row = connection.exec_driver_sql(_BEGIN, {**new.parameters(), **numbers}).one_or_none()
    if row is None:
        return None
    replaced = [(UUID(swept["id"]), datetime.fromisoformat(swept["started_at"])) for swept in row[2] or ()]
    return BegunRow(row[0], row[1], replaced)


_REFUSE = """
WITH locked AS (
    SELECT user_id, portfolio_version FROM user_sync_status WHERE user_id = %(user)s FOR UPDATE
), refused AS (
    INSERT INTO sync_operations (id, user_id, status, priority, trigger, request_id, started_at, completed_at,
                                 duration_ms, worker_id, dagster_run_id, error_code, error_message, portfolio_version)
    SELECT %(operation)s, user_id, 'refused', %(priority)s, %(trigger)s, %(request)s, %(now)s, %(now)s, 0, %(worker)s,
           %(run)s, %(code)s, %(message)s, portfolio_version
    FROM locked
    ON CONFLICT (id) DO NOTHING
    RETURNING portfolio_version
)
SELECT w.wallet_address, r.portfolio_version
FROM refused r, user_wallets w WHERE w.user_id = %(user)s ORDER BY w.position LIMIT 1
"""


def refuse_operation(
    connection: Connection, new: NewOperation, *, code: str, message: str, now: datetime
) -> tuple[str, int] | None:
    """Records an operation that was not begun, under the user's lock.

    Returns:
        The user's first wallet and the version of his portfolio; ``None`` where the operation is recorded
        already, or there is no such user.
    """
    reason = {"code": code, "message": message, "now": now}
    row = connection.exec_driver_sql(_REFUSE, {**new.parameters(), **reason}).one_or_none()
    return None if row is None else (row[0], row[1])
