"""Invariants of the stored data, as queries that find violations.

Each query reads its tables once: it groups and joins on equal keys, and asks nothing for each row.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from moonx_pipeline.domain.flags import BLOCKING_FLAGS

MOST_SHOWN: Final = 20
SECONDS: Final = 60.0
"""The longest that the check of one invariant may take, unless the caller says otherwise."""


class Invariant(NamedTuple):
    """Something that always holds.

    Attributes:
        name: A short name.
        what: What holds, a sentence.
        query: Returns one text for each violation.
    """

    name: str
    what: str
    query: str


class Violation(NamedTuple):
    """A broken invariant, with the first rows that break it."""

    name: str
    what: str
    examples: tuple[str, ...]


class Unchecked(NamedTuple):
    """An invariant that could not be checked."""

    name: str
    why: str


_OVER: Final = frozenset({"57014", "55P03"})  # the time of a statement is over, or of its wait for a lock
_HOLDING: Final = "h.user_id || ', chain ' || h.chain_id || ', token ' || h.token_address"
_BLOCKING: Final = "ARRAY[" + ", ".join(f"'{flag}'" for flag in sorted(BLOCKING_FLAGS)) + "]::text[]"
# Events are pruned after a time, so an operation is only checked against events that can still exist. An event that
# waits long for Kafka is kept while others are pruned. Packs of all users go by the day.
_KEPT: Final = (
    "o.started_at > coalesce((SELECT min(first_at) FROM outbox_packs), (SELECT "
    "coalesce(min(created_at) FILTER (WHERE published_at IS NOT NULL), min(created_at)) FROM outbox_events)) "
    "+ interval '1 minute'"
)


def _told(types: str, expected: str, of: str = "true") -> str:
    """The operations, ``of`` a kind, that events of some types do not tell of as often as expected."""
    return (
        "WITH told AS (SELECT key, operation_id AS operation, count(*) AS times "
        f"FROM kept_events WHERE type IN ({types}) GROUP BY 1, 2) "
        "SELECT o.id || ' of ' || o.user_id || ' is ' || o.status FROM kept_operations o "
        "LEFT JOIN told t ON t.key = o.user_id AND t.operation = o.id::text "
        f"WHERE {_KEPT} AND ({of}) AND coalesce(t.times, 0) <> ({expected})::int"
    )


INVARIANTS: Final = (
    Invariant(
        "amounts",
        "A holding's amount is its balance over 10 to the power of its decimals.",
        f"SELECT {_HOLDING} || ': ' || h.balance || ' is not ' || h.balance_formatted FROM user_token_holdings h "
        "WHERE h.balance_formatted * power(10::numeric, h.token_decimals) <> h.balance",
    ),
    Invariant(
        "values",
        "A holding's value is its amount times its price.",
        f"SELECT {_HOLDING} || ': ' || h.value_usd FROM user_token_holdings h "
        "WHERE h.value_usd <> h.balance_formatted * h.price_usd",
    ),
    Invariant(
        "totals",
        "A user's total is the sum of the values of his holdings that count.",
        f"WITH sums AS (SELECT h.user_id, sum(h.value_usd) AS total FROM user_token_holdings h "
        f"WHERE NOT h.is_spam AND NOT h.flags && {_BLOCKING} GROUP BY h.user_id) "
        "SELECT s.user_id || ': ' || s.total_value_usd || ' is stored, ' || coalesce(x.total, 0) || ' is the sum' "
        "FROM user_sync_status s LEFT JOIN sums x USING (user_id) WHERE s.total_value_usd <> coalesce(x.total, 0)",
    ),
    Invariant(
        "chains of holdings",
        "A holding is of a chain that was read at least once, in full or in part.",
        f"SELECT {_HOLDING} FROM user_token_holdings h LEFT JOIN user_chain_status c USING (user_id, wallet_address, "
        "chain_id) WHERE c.last_success_at IS NULL AND c.resume_key IS NULL",
    ),
    Invariant(
        "numbers of syncs",
        "Each sync of a user has a number of its own, none above the last one that was given.",
        "SELECT o.user_id || ': number ' || o.fence FROM kept_operations o JOIN user_sync_status s USING (user_id) "
        "WHERE o.fence IS NOT NULL GROUP BY o.user_id, o.fence, s.opened_fence "
        "HAVING count(*) > 1 OR o.fence > s.opened_fence",
    ),
    Invariant(
        "stored syncs",
        "What is stored is of a sync that ended well, or was made void by a change of wallets.",
        "SELECT s.user_id || ': number ' || s.stored_fence || ' is of a sync that ' || o.status "
        "FROM user_sync_status s JOIN kept_operations o ON o.user_id = s.user_id AND o.fence = s.stored_fence "
        "WHERE o.status NOT IN ('completed', 'partial')",
    ),
    Invariant(
        "running users",
        "A user is running only while a sync of his is.",
        "SELECT s.user_id FROM user_sync_status s WHERE s.sync_status = 'running' AND NOT EXISTS "
        "(SELECT 1 FROM sync_operations o WHERE o.user_id = s.user_id AND o.status IN ('pending', 'running'))",
    ),
    Invariant(
        "beginnings told",
        "A sync that began is told of once, one of a sweep with its end; one that was refused never began.",
        _told("'sync.started'", "o.fence IS NOT NULL", "o.type <> 'sweep' OR o.status IN ('completed', 'partial')"),
    ),
    Invariant(
        "ends told",
        "A sync that ended is told of once, and one that runs is not.",
        _told("'sync.completed', 'sync.failed'", "o.completed_at IS NOT NULL"),
    ),
    Invariant(
        "order of versions",
        "A user's events have versions that never go down.",
        "SELECT key || ': version ' || version || ' after ' || before FROM (SELECT key, version, "
        "lag(version) OVER (PARTITION BY key ORDER BY seq) AS before FROM kept_events "
        "WHERE topic <> 'system.alerts') e WHERE version < before",
    ),
    Invariant(
        "versions told",
        "Each version of a portfolio is told of once, and no event is ahead of its portfolio.",
        "SELECT e.key || ': version ' || e.version FROM kept_events e JOIN user_sync_status s ON s.user_id = e.key "
        "WHERE e.type = 'portfolio.updated' AND e.topic = 'portfolio.updates' "
        "GROUP BY e.key, e.version, s.portfolio_version HAVING count(*) > 1 OR e.version > s.portfolio_version",
    ),
    Invariant(
        "events",
        "An event says of itself what its row says.",
        "SELECT e.id::text FROM outbox_events e WHERE e.payload->>'eventId' <> e.id::text "
        "OR e.payload->>'eventType' <> e.type OR (e.payload->>'version')::bigint <> e.version "
        "OR (e.topic <> 'system.alerts' AND e.payload->>'userId' IS DISTINCT FROM e.key)",
    ),
    Invariant(
        "order of publishing",
        "No event of a key is published before an older one.",
        "WITH waiting AS (SELECT key, min(seq) AS oldest FROM outbox_events WHERE published_at IS NULL GROUP BY key) "
        "SELECT p.key || ': number ' || p.seq FROM kept_events p JOIN waiting w USING (key) "
        "WHERE p.is_published AND p.seq > w.oldest",
    ),
    Invariant(
        "requests",
        "A request that is claimed has a sync that runs, one that is done a sync that ended, a waiting one none.",
        "SELECT r.id || ' of ' || r.user_id || ' is ' || r.status FROM sync_requests r "
        "LEFT JOIN sync_operations o ON o.id = r.sync_operation_id WHERE CASE r.status "
        "WHEN 'claimed' THEN o.completed_at IS NOT NULL OR o.id IS NULL WHEN 'done' THEN o.completed_at IS NULL "
        "WHEN 'pending' THEN r.sync_operation_id IS NOT NULL ELSE false END",
    ),
    Invariant(
        "snapshots",
        "History is of syncs that ended well.",
        "SELECT DISTINCT o.id || ' of ' || o.user_id FROM kept_operations o JOIN (SELECT sync_operation_id "
        "FROM user_token_holdings_history UNION ALL SELECT unnest(operation_ids) FROM history_packs) h "
        "ON o.id = h.sync_operation_id WHERE o.status NOT IN ('completed', 'partial')",
    ),
    Invariant(
        "log of limits",
        "What a rate limit granted is logged in order, each with what it cost.",
        "SELECT r.key FROM rate_limits r WHERE 0 >= ANY (r.taken) "
        "OR r.taken_at <> (SELECT coalesce(array_agg(t ORDER BY t), '{}') FROM unnest(r.taken_at) AS t)",
    ),
)


def check_invariant(connection: Connection, invariant: Invariant, *, seconds: float) -> Violation | Unchecked | None:
    """Looks for what breaks an invariant; changes nothing.

    Args:
        connection: In a transaction of one snapshot (REPEATABLE READ), so that syncs in progress break nothing.
        invariant: The invariant.
        seconds: The longest that it may take.
    """
    limit = max(1, int(seconds * 1000))
    try:
        with connection.begin_nested():
            # Without statistics of the tables, the planner could ask once for each row after all.
            connection.exec_driver_sql(
                f"SET LOCAL statement_timeout = {limit}; SET LOCAL lock_timeout = {limit}; "
                "SET LOCAL enable_nestloop = off"
            )
            rows = connection.exec_driver_sql(f"{invariant.query} LIMIT {MOST_SHOWN}".replace("%", "%%"), ())
            examples = tuple(rows.scalars())
    except DBAPIError as problem:
        if getattr(problem.orig, "pgcode", None) not in _OVER:
            raise
        return Unchecked(invariant.name, f"it took longer than {seconds:g} s")
    return Violation(invariant.name, invariant.what, examples) if examples else None


def check_invariants(connection: Connection, *, seconds: float = SECONDS) -> list[Violation | Unchecked]:
    """Checks all invariants; see ``check_invariant``."""
    found = (check_invariant(connection, invariant, seconds=seconds) for invariant in INVARIANTS)
    return [result for result in found if result is not None]
