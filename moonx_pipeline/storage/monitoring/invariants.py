"""Invariants of the stored data, as queries that find violations."""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import Connection

from moonx_pipeline.domain.flags import BLOCKING_FLAGS

MOST_SHOWN: Final = 20


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


_HOLDING: Final = "h.user_id || ', chain ' || h.chain_id || ', token ' || h.token_address"
_BLOCKING: Final = "ARRAY[" + ", ".join(f"'{flag}'" for flag in sorted(BLOCKING_FLAGS)) + "]::text[]"
# Events are pruned after a time, so an operation is only checked against events that can still exist. An event that
# waits long for Kafka is kept while others are pruned.
_KEPT: Final = (
    "o.started_at > (SELECT coalesce(min(created_at) FILTER (WHERE published_at IS NOT NULL), min(created_at)) "
    "+ interval '1 minute' FROM outbox_events)"
)
_OF_OPERATION: Final = "e.key = o.user_id AND e.payload->'data'->>'syncOperationId' = o.id::text"

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
        "SELECT s.user_id || ': ' || s.total_value_usd || ' is stored, ' || x.total || ' is the sum' "
        "FROM user_sync_status s, LATERAL (SELECT coalesce(sum(h.value_usd), 0) AS total FROM user_token_holdings h "
        f"WHERE h.user_id = s.user_id AND NOT h.is_spam AND NOT h.flags && {_BLOCKING}) x "
        "WHERE s.total_value_usd <> x.total",
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
        "SELECT o.user_id || ': number ' || o.fence FROM sync_operations o JOIN user_sync_status s USING (user_id) "
        "WHERE o.fence IS NOT NULL GROUP BY o.user_id, o.fence, s.opened_fence "
        "HAVING count(*) > 1 OR o.fence > s.opened_fence",
    ),
    Invariant(
        "stored syncs",
        "What is stored is of a sync that ended well, or was made void by a change of wallets.",
        "SELECT s.user_id || ': number ' || s.stored_fence || ' is of a sync that ' || o.status "
        "FROM user_sync_status s JOIN sync_operations o ON o.user_id = s.user_id AND o.fence = s.stored_fence "
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
        "A sync that began is told of once; one that was refused never began.",
        f"SELECT o.id || ' of ' || o.user_id || ' is ' || o.status FROM sync_operations o WHERE {_KEPT} AND "
        f"(SELECT count(*) FROM outbox_events e WHERE e.type = 'sync.started' AND {_OF_OPERATION}) "
        "<> (o.fence IS NOT NULL)::int",
    ),
    Invariant(
        "ends told",
        "A sync that ended is told of once, and one that runs is not.",
        f"SELECT o.id || ' of ' || o.user_id || ' is ' || o.status FROM sync_operations o WHERE {_KEPT} AND (SELECT "
        f"count(*) FROM outbox_events e WHERE e.type IN ('sync.completed', 'sync.failed') AND {_OF_OPERATION}) "
        "<> (o.completed_at IS NOT NULL)::int",
    ),
    Invariant(
        "order of versions",
        "A user's events have versions that never go down.",
        "SELECT key || ': version ' || version || ' after ' || before FROM (SELECT key, version, "
        "lag(version) OVER (PARTITION BY key ORDER BY seq) AS before FROM outbox_events "
        "WHERE topic <> 'system.alerts') e WHERE version < before",
    ),
    Invariant(
        "versions told",
        "Each version of a portfolio is told of once, and no event is ahead of its portfolio.",
        "SELECT e.key || ': version ' || e.version FROM outbox_events e JOIN user_sync_status s ON s.user_id = e.key "
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
        "SELECT p.key || ': ' || p.id FROM outbox_events p WHERE p.published_at IS NOT NULL AND EXISTS (SELECT 1 FROM "
        "outbox_events e WHERE e.shard = p.shard AND e.published_at IS NULL AND e.key = p.key AND e.seq < p.seq)",
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
        "SELECT DISTINCT h.sync_operation_id || ' of ' || h.user_id FROM user_token_holdings_history h "
        "JOIN sync_operations o ON o.id = h.sync_operation_id WHERE o.status NOT IN ('completed', 'partial')",
    ),
    Invariant(
        "log of limits",
        "What a rate limit granted is logged in order, each with what it cost.",
        "SELECT r.key FROM rate_limits r WHERE 0 >= ANY (r.taken) "
        "OR r.taken_at <> (SELECT coalesce(array_agg(t ORDER BY t), '{}') FROM unnest(r.taken_at) AS t)",
    ),
)


def check_invariants(connection: Connection) -> list[Violation]:
    """Looks for broken invariants; changes nothing.

    Args:
        connection: In a transaction of one snapshot (REPEATABLE READ), so that syncs in progress break nothing.
    """
    violations = []
    for invariant in INVARIANTS:
        rows = connection.exec_driver_sql(f"{invariant.query} LIMIT {MOST_SHOWN}".replace("%", "%%"), ())
        if examples := tuple(rows.scalars()):
            violations.append(Violation(invariant.name, invariant.what, examples))
    return violations
