"""Garbage collection of unheld tokens, idle rate limits and circuit breakers, and inactive users."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine

from moonx_pipeline.storage.upkeep.chunks import with_lock_timeout

_HELD: Final = (
    "EXISTS (SELECT 1 FROM user_token_holdings h WHERE h.chain_id = t.chain_id AND h.token_address = t.token_address)"
)


_EVIDENCE: Final = f"""
DELETE FROM token_evidence t
USING (SELECT chain_id, token_address FROM token_evidence GROUP BY 1, 2 HAVING max(answered_at) < %s) old
WHERE t.chain_id = old.chain_id AND t.token_address = old.token_address AND NOT {_HELD}
"""  # noqa: S608 - a constant


class PrunedTokens(NamedTuple):
    """Rows that were removed."""

    evidence: int
    metadata: int


def prune_tokens(engine: Engine, before: datetime) -> PrunedTokens:
    """Deletes evidence of tokens that nobody holds and no source answered about since a time, then their metadata; and
    what vaults said, and price lines that nobody asked for since then.

    It is read anew if a user holds the token again.
    """

    def prune(connection: Connection) -> PrunedTokens:
        evidence = connection.exec_driver_sql(_EVIDENCE, (before,))
        metadata = connection.exec_driver_sql(
            f"DELETE FROM token_metadata t WHERE t.read_at < %s AND NOT {_HELD} "  # noqa: S608 - a constant
            "AND NOT EXISTS (SELECT 1 FROM token_evidence p "
            "WHERE p.chain_id = t.chain_id AND p.token_address = t.token_address)",
            (before,),
        )
        connection.exec_driver_sql("DELETE FROM vault_shares WHERE asked_at < %s", (before,))
        # Of what is held, a line is asked for every hour.
        connection.exec_driver_sql("DELETE FROM price_lines WHERE asked_at < %s", (before,))
        return PrunedTokens(evidence.rowcount, metadata.rowcount)

    return with_lock_timeout(engine, prune)


# A row that another transaction has locked is in use.
_LIMITS: Final = """
DELETE FROM rate_limits WHERE key IN (
    SELECT key FROM rate_limits
    WHERE key LIKE ANY (ARRAY['user:%%:sync', 'user:%%:wallets'])
      AND (blocked_until IS NULL OR blocked_until < %(before)s)
      AND coalesce(greatest(last_slot, taken_at[cardinality(taken_at)], blocked_at), '-infinity') < %(before)s
    FOR UPDATE SKIP LOCKED)
"""

_BREAKERS: Final = """
DELETE FROM circuit_breakers WHERE key IN (
    SELECT key FROM circuit_breakers WHERE key LIKE 'user:%%' AND state = 'closed' AND failure_count = 0
      AND greatest(changed_at, last_failure_at) < %(before)s
    FOR UPDATE SKIP LOCKED)
"""


def _delete(connection: Connection, sql: str, before: datetime) -> int:
    return connection.exec_driver_sql(sql, {"before": before}).rowcount


def prune_limits(engine: Engine, before: datetime) -> int:
    """Deletes users' rate limits from which nothing was taken since a time; returns how many.

    Args:
        engine: The database.
        before: Earlier than the longest window of a limit.
    """
    return with_lock_timeout(
        engine, lambda connection: connection.exec_driver_sql(_LIMITS, {"before": before}).rowcount
    )


def prune_breakers(engine: Engine, before: datetime) -> int:
    """Deletes users' breakers that are closed, count no failure and did not change since a time; returns how many."""
    return with_lock_timeout(
        engine, lambda connection: connection.exec_driver_sql(_BREAKERS, {"before": before}).rowcount
    )


_INACTIVE: Final = """
SELECT x.user_id FROM unnest(%s::text[]) AS x(user_id) LEFT JOIN user_sync_status s USING (user_id)
WHERE (coalesce(s.last_active_at, s.created_at) < %s
       OR NOT EXISTS (SELECT 1 FROM user_wallets w WHERE w.user_id = x.user_id))
  AND NOT EXISTS (SELECT 1 FROM sync_requests r WHERE r.user_id = x.user_id AND r.status = 'pending')
  AND NOT EXISTS (SELECT 1 FROM sync_operations o WHERE o.user_id = x.user_id AND o.status IN ('pending', 'running'))
ORDER BY coalesce(s.last_active_at, s.created_at) NULLS FIRST, x.user_id LIMIT %s
"""


def inactive_users(connection: Connection, users: Sequence[str], since: datetime, most: int) -> list[str]:
    """Those of the given users who were not active since a time, or have no wallets; the longest inactive first.

    Users with a running or requested sync are left out.

    Args:
        connection: Any.
        users: Users to choose from; an unknown user has no wallets.
        since: For a user who was never active, their registration counts.
        most: How many at most.
    """
    return list(connection.exec_driver_sql(_INACTIVE, (list(users), since, most)).scalars())
