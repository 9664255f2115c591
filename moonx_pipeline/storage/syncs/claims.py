"""Claims due users for sweeps: each user by one sweep, in the order of urgency.

A claim locks users; opening their syncs in the same transaction takes them. While a sync runs, the user's
``next_sync_at`` is the end of a lease: if the sweep dies, the user is due again when the lease ends, at the latest.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from moonx_pipeline.domain.events import SyncRef

_WINDOW: Final = 1000
"""How many of the longest-due users are sorted by urgency. It bounds what a claim reads when everybody is due."""

_COUNTED: Final = 1000


class Claim(NamedTuple):
    """Which users to claim.

    Attributes:
        now: The time.
        until: Users who are due by then are claimed.
        active_since: Users not active since then are left out.
        stale_before: Users whose last sync ended before then go first.
        shard, shards: The share of the users, as number and count.
        keep_since: Balances read after it may be kept if nothing moved.
    """

    now: datetime
    until: datetime
    active_since: datetime
    stale_before: datetime
    shard: int
    shards: int
    keep_since: datetime


class DueUser(NamedTuple):
    """A user who is due, under their lock.

    Attributes:
        user_id: The user.
        version: Of their portfolio now.
        priority: ``high`` if their portfolio is stale, else ``medium``.
        last_ended: When their last sync ended. It may be after the claim's ``now``, which was read before the lock.
        wallets: First registered first.
        tokens_held: Rows of their holdings, spam included; counted up to 1,000.
        unmoved_since: When all balances were last read, if no movement was reported since; else ``None``.
        is_new: Whether this is their first sync, or the first after weeks, when their partition may be gone.
        has_failed: Whether their own circuit breaker counts failures.
    """

    user_id: str
    version: int
    priority: str
    last_ended: datetime | None
    wallets: tuple[str, ...]
    tokens_held: int
    unmoved_since: datetime | None
    is_new: bool
    has_failed: bool


_DUE = (
    "s.is_sync_enabled AND s.next_sync_at <= %(until)s AND s.last_active_at > %(active_since)s "
    # These conditions on the row are checked again once it is locked: two claims can't both take it.
    "AND s.sync_status <> 'running' "
    "AND (%(shards)s = 1 OR abs(hashtextextended(s.user_id, 0) %% %(shards)s) = %(shard)s)"
)

_CLAIM = f"""
WITH candidates AS MATERIALIZED (
    (SELECT s.user_id FROM user_sync_status s WHERE s.is_high_value AND {_DUE}
     ORDER BY s.is_high_value, s.next_sync_at LIMIT %(window)s)
    UNION ALL
    (SELECT s.user_id FROM user_sync_status s WHERE NOT s.is_high_value AND {_DUE}
     ORDER BY s.is_high_value, s.next_sync_at LIMIT %(window)s)
), taken AS MATERIALIZED (
    SELECT s.user_id, s.portfolio_version, s.last_sync_at IS NULL OR s.last_sync_at < %(stale_before)s AS is_stale,
           greatest(s.last_sync_at, s.last_error_at) AS last_ended,
           CASE WHEN s.balances_read_at > %(keep_since)s AND (s.moved_at IS NULL OR s.moved_at < s.balances_read_at)
                THEN s.balances_read_at END AS unmoved_since,
           coalesce(s.last_sync_at < %(now)s - interval '29 days', true) AS is_new
    FROM candidates JOIN user_sync_status s USING (user_id)
    WHERE {_DUE}
      AND EXISTS (SELECT 1 FROM user_wallets w WHERE w.user_id = s.user_id)
      AND NOT EXISTS (SELECT 1 FROM sync_operations o
                      WHERE o.user_id = s.user_id AND o.status IN ('pending', 'running'))
      AND NOT EXISTS (SELECT 1 FROM circuit_breakers b WHERE b.key = 'user:' || s.user_id AND b.retry_at > %(now)s)
    ORDER BY is_stale DESC, s.is_high_value DESC, s.next_sync_at, s.user_id
    LIMIT %(limit)s
    FOR UPDATE OF s SKIP LOCKED
)
SELECT t.user_id, t.portfolio_version, CASE WHEN t.is_stale THEN 'high' ELSE 'medium' END, t.last_ended,
       (SELECT array_agg(w.wallet_address ORDER BY w.position) FROM user_wallets w WHERE w.user_id = t.user_id),
       (SELECT count(*) FROM (SELECT 1 FROM user_token_holdings h WHERE h.user_id = t.user_id LIMIT %(count)s) c),
       t.unmoved_since, t.is_new,
       EXISTS (SELECT 1 FROM circuit_breakers b WHERE b.key = 'user:' || t.user_id
               AND (b.failure_count > 0 OR b.state <> 'closed'))
FROM taken t ORDER BY t.user_id
"""  # noqa: S608 - put together from constants


def lock_due(connection: Connection, claim: Claim, limit: int) -> list[DueUser]:
    """Locks users who are due.

    Leaves out users with a running sync or an open circuit breaker of their own, and users that another claim holds
    at this moment.

    Args:
        connection: Inside the transaction that opens their syncs.
        claim: Which users.
        limit: How many at most.
    """
    bounds = {"window": max(_WINDOW, limit), "limit": limit, "count": _COUNTED}
    rows = connection.exec_driver_sql(_CLAIM, {**claim._asdict(), **bounds})
    return [DueUser._make((*row[:4], tuple(row[4]), *row[5:])) for row in rows]


def unfinished_claims(
    connection: Connection, worker_id: str, operations: Sequence[UUID] | None = None
) -> list[SyncRef]:
    """The running sweep syncs that a process executes, ordered by user.

    Args:
        connection: Any.
        worker_id: The process.
        operations: Only these; all of the process by default.
    """
    which = None if operations is None else list(operations)
    rows = connection.exec_driver_sql(
        "SELECT o.id, o.user_id, (SELECT wallet_address FROM user_wallets w WHERE w.user_id = o.user_id "
        "ORDER BY position LIMIT 1), o.trigger, o.started_at FROM sync_operations o "
        "WHERE o.worker_id = %s AND o.status = 'running' AND o.type = 'sweep' "
        "AND (%s::uuid[] IS NULL OR o.id = ANY(%s::uuid[])) ORDER BY o.user_id",
        (worker_id, which, which),
    )
    return [SyncRef(*row) for row in rows]


def is_anybody_due(connection: Connection, *, until: datetime, active_since: datetime) -> bool:
    """Whether any user can be claimed."""
    found: bool = connection.exec_driver_sql(
        "SELECT EXISTS (SELECT 1 FROM user_sync_status s WHERE s.is_sync_enabled AND s.next_sync_at <= %s "
        "AND s.last_active_at > %s AND EXISTS (SELECT 1 FROM user_wallets w WHERE w.user_id = s.user_id))",
        (until, active_since),
    ).scalar_one()
    return found


def unschedule_inactive(connection: Connection, *, until: datetime, active_since: datetime) -> int:
    """Unschedules due users who have been inactive, so that claims skip them. Returns how many.

    Their next activity makes them due again.
    """
    return connection.exec_driver_sql(
        "UPDATE user_sync_status SET next_sync_at = NULL WHERE is_sync_enabled AND next_sync_at <= %s "
        "AND (last_active_at IS NULL OR last_active_at <= %s)",
        (until, active_since),
    ).rowcount


def note_movement(connection: Connection, addresses: list[str], at: datetime) -> list[str]:
    """Makes the users of wallets due now, since something moved there. Returns their ids.

    Args:
        connection: Any.
        addresses: In lower case; addresses that belong to no user are skipped.
        at: When the movement was reported.
    """
    rows = connection.exec_driver_sql(
        "UPDATE user_sync_status s SET moved_at = %s, next_sync_at = CASE WHEN s.sync_status = 'running' "
        "THEN s.next_sync_at ELSE least(s.next_sync_at, %s) END "
        "WHERE s.user_id IN (SELECT user_id FROM user_wallets WHERE wallet_address = ANY(%s)) RETURNING s.user_id",
        (at, at, addresses),
    )
    return list(rows.scalars())
