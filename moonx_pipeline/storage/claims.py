"""Users that are due, taken for a sweep: each by one sweep, in the order of urgency.

A user is taken by opening a sync of theirs, just as a run for one user does it. While it runs, their
``next_sync_at`` is the end of a lease: a sweep that dies leaves them due, at the latest, when that is over.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from moonx_pipeline.domain.events import SyncFacts

_WINDOW: Final = 1000
"""Of the users that are due for the longest, the most urgent of so many come first. It bounds what a claim
reads when everybody is due."""

_COUNTED: Final = 1000


class Claim(NamedTuple):
    """Which users to take.

    Attributes:
        now: The time.
        until: Users who are due by then are taken.
        active_since: Users who were not active since then are not.
        stale_before: Users who were last read before then go first.
        lease_until: When the syncs are surely over.
        shard, shards: The share of the users, as number and count.
        keep_since: Balances that were read after it may be kept where nothing moved.
        worker_id, run_id: The process and the run that carry the syncs.
    """

    now: datetime
    until: datetime
    active_since: datetime
    stale_before: datetime
    lease_until: datetime
    shard: int
    shards: int
    keep_since: datetime
    worker_id: str
    run_id: str | None


class ClaimedUser(NamedTuple):
    """A user and the sync that was opened for them.

    Attributes:
        user_id: The user.
        operation_id: The sync.
        fence: Its number among the user's syncs.
        version: Their portfolio's version now.
        priority: ``high`` where their portfolio is stale, else ``medium``.
        started_at: When it began.
        wallets: First registered first.
        tokens_held: Rows of their holdings, spam included; counted up to 1,000.
        unmoved_since: When all balances were last read, where no movement was told since; else ``None``.
        is_new: Whether this is their first sync, or the first after weeks, when their partition may be gone.
        has_failed: Whether their own circuit breaker counts failures.
    """

    user_id: str
    operation_id: UUID
    fence: int
    version: int
    priority: str
    started_at: datetime
    wallets: tuple[str, ...]
    tokens_held: int
    unmoved_since: datetime | None
    is_new: bool
    has_failed: bool


_DUE = (
    "s.is_sync_enabled AND s.next_sync_at <= %(until)s AND s.last_active_at > %(active_since)s "
    # What is asked of the row itself is asked again once it is locked: two claims can't both take it.
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
    SELECT s.user_id, s.last_sync_at IS NULL OR s.last_sync_at < %(stale_before)s AS is_stale
    FROM candidates JOIN user_sync_status s USING (user_id)
    WHERE {_DUE}
      AND EXISTS (SELECT 1 FROM user_wallets w WHERE w.user_id = s.user_id)
      AND NOT EXISTS (SELECT 1 FROM sync_operations o
                      WHERE o.user_id = s.user_id AND o.status IN ('pending', 'running'))
      AND NOT EXISTS (SELECT 1 FROM circuit_breakers b WHERE b.key = 'user:' || s.user_id AND b.retry_at > %(now)s)
    ORDER BY is_stale DESC, s.is_high_value DESC, s.next_sync_at, s.user_id
    LIMIT %(limit)s
    FOR UPDATE OF s SKIP LOCKED
), opened AS (
    UPDATE user_sync_status s
    SET opened_fence = s.opened_fence + 1, sync_status = 'running', next_sync_at = %(lease_until)s
    FROM taken WHERE taken.user_id = s.user_id
    RETURNING s.user_id, gen_random_uuid() AS operation_id, s.opened_fence, s.portfolio_version,
              -- The clock was read before the claim: a sync that ended in between is not overlapped.
              greatest(%(now)s, s.last_sync_at, s.last_error_at) AS started_at,
              CASE WHEN taken.is_stale THEN 'high' ELSE 'medium' END AS priority,
              coalesce(s.last_sync_at < %(now)s - interval '29 days', true) AS is_new,
              CASE WHEN s.balances_read_at > %(keep_since)s AND (s.moved_at IS NULL
                        OR s.moved_at < s.balances_read_at) THEN s.balances_read_at END AS unmoved_since
), begun AS (
    INSERT INTO sync_operations (id, user_id, type, status, priority, trigger, fence, started_at, worker_id,
                                 dagster_run_id, portfolio_version)
    SELECT operation_id, user_id, 'sweep', 'running', priority, 'schedule', opened_fence, started_at, %(worker_id)s,
           %(run_id)s, portfolio_version
    FROM opened
)
SELECT o.user_id, o.operation_id, o.opened_fence, o.portfolio_version, o.priority, o.started_at,
       (SELECT array_agg(w.wallet_address ORDER BY w.position) FROM user_wallets w WHERE w.user_id = o.user_id),
       (SELECT count(*) FROM (SELECT 1 FROM user_token_holdings h WHERE h.user_id = o.user_id LIMIT %(count)s) c),
       o.unmoved_since, o.is_new,
       EXISTS (SELECT 1 FROM circuit_breakers b WHERE b.key = 'user:' || o.user_id
               AND (b.failure_count > 0 OR b.state <> 'closed'))
FROM opened o ORDER BY o.user_id
"""  # noqa: S608 - put together from constants


def claim_due(connection: Connection, claim: Claim, limit: int) -> list[ClaimedUser]:
    """Takes due users and opens a sync for each, in one statement.

    Users with a running sync or an open circuit breaker of their own are left, and so are those that another
    claim has at this moment.

    Args:
        connection: Inside the transaction that also tells of the beginnings.
        claim: Which users.
        limit: How many at most.
    """
    bounds = {"window": max(_WINDOW, limit), "limit": limit, "count": _COUNTED}
    rows = connection.exec_driver_sql(_CLAIM, {**claim._asdict(), **bounds})
    return [ClaimedUser._make((*row[:6], tuple(row[6]), *row[7:])) for row in rows]


def unfinished_claims(
    connection: Connection, worker_id: str, operations: Sequence[UUID] | None = None
) -> list[SyncFacts]:
    """The syncs of sweeps that a process carries, in the order of their users.

    Args:
        connection: Any.
        worker_id: The process.
        operations: Which; all of the process by default.
    """
    which = None if operations is None else list(operations)
    rows = connection.exec_driver_sql(
        "SELECT o.id, o.user_id, (SELECT wallet_address FROM user_wallets w WHERE w.user_id = o.user_id "
        "ORDER BY position LIMIT 1), o.trigger, o.started_at FROM sync_operations o "
        "WHERE o.worker_id = %s AND o.status = 'running' AND o.type = 'sweep' "
        "AND (%s::uuid[] IS NULL OR o.id = ANY(%s::uuid[])) ORDER BY o.user_id",
        (worker_id, which, which),
    )
    return [SyncFacts(*row) for row in rows]


def is_anybody_due(connection: Connection, *, until: datetime, active_since: datetime) -> bool:
    """Whether there is anybody to claim."""
    found: bool = connection.exec_driver_sql(
        "SELECT EXISTS (SELECT 1 FROM user_sync_status s WHERE s.is_sync_enabled AND s.next_sync_at <= %s "
        "AND s.last_active_at > %s AND EXISTS (SELECT 1 FROM user_wallets w WHERE w.user_id = s.user_id))",
        (until, active_since),
    ).scalar_one()
    return found


def rest_inactive(connection: Connection, *, until: datetime, active_since: datetime) -> int:
    """Lets users rest who are due but were not active for long, so that no claim comes by them again.

    Their next activity makes them due. Returns how many.
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
        addresses: In lower case; those of nobody are skipped.
        at: When it was said.
    """
    rows = connection.exec_driver_sql(
        "UPDATE user_sync_status s SET moved_at = %s, next_sync_at = CASE WHEN s.sync_status = 'running' "
        "THEN s.next_sync_at ELSE least(s.next_sync_at, %s) END "
        "WHERE s.user_id IN (SELECT user_id FROM user_wallets WHERE wallet_address = ANY(%s)) RETURNING s.user_id",
        (at, at, addresses),
    )
    return list(rows.scalars())
