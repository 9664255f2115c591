"""The checker finds nothing wrong with what syncs store, and each thing that is broken by hand."""

import time

import pytest
from sqlalchemy import Engine

from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import PLAIN_WALLET, POLYGON_WALLET, SPAM_WALLET
from moonx_pipeline.storage.monitoring.invariants import INVARIANTS, Unchecked, Violation, check_invariants
from moonx_pipeline.storage.portfolios.users import add_wallets
from moonx_pipeline.storage.requests.queue import add_request
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline_tests.support.syncs import register, sync, violations


@pytest.fixture
def synced(engine: Engine, runtime: Runtime, simulator: RunningSimulator) -> Engine:
    """Users whose syncs ended in every way, with one request served."""
    for user, wallet in (("ann", POLYGON_WALLET), ("bob", PLAIN_WALLET), ("eve", SPAM_WALLET)):
        register(engine, user, wallet)
        sync(runtime, user)
    with engine.begin() as connection:
        request = add_request(connection, "bob", source="api", priority="high")
    sync(runtime, "bob", request_id=request)
    simulator.fault("partial_error", network="polygon-mainnet")
    simulator.fault("outage", network="polygon-mainnet", endpoint="eth_getBalance")
    assert sync(runtime, "ann").status == "partial"
    simulator.fault("outage")
    assert sync(runtime, "ann").status == "failed"
    simulator.simulation.faults.clear()
    with engine.begin() as connection:
        add_wallets(connection, "bob", [POLYGON_WALLET])
    sync(runtime, "bob")
    with engine.begin() as connection:
        # As if the syncs were older than the minute for which the events of the oldest are not asked for.
        connection.exec_driver_sql("UPDATE outbox_events SET created_at = created_at - interval '5 minutes'")
    return engine


def test_what_syncs_store_breaks_none(synced: Engine) -> None:
    assert violations(synced) == []


DAMAGE = {
    "amounts": "UPDATE user_token_holdings SET balance = balance + 1, value_usd = value_usd "
    "WHERE user_id = 'bob' AND chain_id = 1 AND balance_formatted IS NOT NULL",
    "values": "UPDATE user_token_holdings SET price_usd = price_usd * 2 WHERE value_usd > 0",
    "totals": "UPDATE user_sync_status SET total_value_usd = total_value_usd + 0.000001 WHERE user_id = 'bob'",
    "chains of holdings": "UPDATE user_chain_status SET status = 'never', last_success_at = NULL "
    "WHERE user_id = 'bob' AND chain_id = 1",
    "numbers of syncs": "UPDATE user_sync_status SET opened_fence = stored_fence + 7 WHERE user_id = 'bob'; "
    "UPDATE sync_operations SET fence = 900 WHERE id = (SELECT id FROM sync_operations WHERE user_id = 'eve' LIMIT 1)",
    "stored syncs": "UPDATE sync_operations o SET status = 'failed' FROM user_sync_status s "
    "WHERE s.user_id = 'eve' AND o.user_id = 'eve' AND o.fence = s.stored_fence; "
    "DELETE FROM user_token_holdings_history WHERE user_id = 'eve'",
    "running users": "UPDATE user_sync_status SET sync_status = 'running' WHERE user_id = 'ann'",
    "beginnings told": "DELETE FROM outbox_events WHERE key = 'eve' AND type = 'sync.started'",
    "ends told": "DELETE FROM outbox_events WHERE key = 'eve' AND type = 'sync.completed'",
    "order of versions": "UPDATE outbox_events SET version = 0, payload = jsonb_set(payload, '{version}', '0') "
    "WHERE seq = (SELECT max(seq) FROM outbox_events WHERE key = 'ann')",
    "versions told": "UPDATE user_sync_status SET portfolio_version = 0 WHERE user_id = 'eve'",
    "events": "UPDATE outbox_events SET payload = jsonb_set(payload, '{userId}', '\"eve\"') WHERE key = 'ann'",
    "order of publishing": "UPDATE outbox_events SET published_at = now() "
    "WHERE seq = (SELECT max(seq) FROM outbox_events WHERE key = 'bob')",
    "requests": "UPDATE sync_requests SET status = 'claimed'",
    "snapshots": "UPDATE user_token_holdings_history SET sync_operation_id = "
    "(SELECT id FROM sync_operations WHERE status = 'failed' LIMIT 1)",
    "log of limits": "UPDATE rate_limits SET taken = array_fill(0, ARRAY[cardinality(taken)]) WHERE key = 'alchemy'",
}


def test_every_invariant_is_tried() -> None:
    assert DAMAGE.keys() == {invariant.name for invariant in INVARIANTS}


def test_each_damage_is_found_by_its_name_alone(synced: Engine) -> None:
    found = {}
    for name, damage in DAMAGE.items():
        # Never committed: each damage is done to what is whole.
        with synced.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            connection.exec_driver_sql(damage)
            found[name] = [violation.name for violation in check_invariants(connection)]

    assert found == {name: [name] for name in DAMAGE}


_MANY = """
INSERT INTO user_wallets (user_id, wallet_address)
SELECT 'user' || u, '0x' || lpad(to_hex(u), 40, '0') FROM generate_series(1, 5000) u;
INSERT INTO user_sync_status (user_id, sync_status, last_sync_at, total_value_usd, portfolio_version, opened_fence,
                              stored_fence)
SELECT 'user' || u, 'completed', now(), 8, 0, 2, 2 FROM generate_series(1, 5000) u
ON CONFLICT (user_id) DO UPDATE SET sync_status = 'completed', last_sync_at = now(), total_value_usd = 8,
                                    opened_fence = 2, stored_fence = 2;
INSERT INTO user_chain_status (user_id, wallet_address, chain_id, status, last_success_at)
SELECT user_id, wallet_address, 1, 'fresh', now() FROM user_wallets;
INSERT INTO user_token_holdings (user_id, wallet_address, chain_id, token_address, token_decimals, balance,
                                 balance_formatted, price_usd, price_source, value_usd)
SELECT user_id, wallet_address, 1, '0x' || lpad(to_hex(t), 40, '0'), 1, 10, 1, 2, 'binance', 2
FROM user_wallets, generate_series(1, 4) t;
INSERT INTO sync_operations (id, user_id, status, priority, trigger, fence, started_at, completed_at)
SELECT md5('user' || u || ':' || f)::uuid, 'user' || u, 'completed', 'medium', 'manual', f, now(), now()
FROM generate_series(1, 5000) u, generate_series(1, 2) f;
INSERT INTO outbox_events (id, topic, key, type, version, payload, created_at)
SELECT md5(o.id || e.type)::uuid, 'sync.events', o.user_id, e.type, 0,
       jsonb_build_object('eventId', md5(o.id || e.type)::uuid, 'eventType', e.type, 'version', 0, 'userId', o.user_id,
                          'data', jsonb_build_object('syncOperationId', o.id)),
       now() - interval '5 minutes'
FROM sync_operations o, unnest(ARRAY['sync.started', 'sync.completed']) AS e(type);
"""


@pytest.fixture
def many(engine: Engine) -> Engine:
    """Five thousand users with 20,000 events, before the database has statistics of them."""
    with engine.begin() as connection:
        connection.exec_driver_sql(_MANY)
    return engine


def test_many_users_and_events_are_checked_within_seconds(many: Engine) -> None:
    began = time.monotonic()

    assert violations(many) == []

    assert time.monotonic() - began < 10


def test_what_takes_too_long_is_said_of_its_invariant_and_the_rest_is_checked(synced: Engine) -> None:
    with (
        synced.connect() as other,
        synced.connect().execution_options(isolation_level="REPEATABLE READ") as connection,
    ):
        other.exec_driver_sql("LOCK TABLE sync_requests IN ACCESS EXCLUSIVE MODE")
        connection.exec_driver_sql("UPDATE rate_limits SET taken = array_fill(0, ARRAY[cardinality(taken)])")

        found = check_invariants(connection, seconds=0.3)

    assert [type(one) for one in found] == [Unchecked, Violation]
    assert found[0] == Unchecked("requests", "it took longer than 0.3 s")
    assert found[1].name == "log of limits"
