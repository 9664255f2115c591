"""Sweeps where webhooks tell who moved: a webhook speaks for its chain, for as long as it is alive."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine

from moonx_pipeline.clock import utc_now
from moonx_pipeline.domain.chains import DEFAULT_CHAINS
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.tokens import TOKENS
from moonx_pipeline.simulator.world import PLAIN_WALLET, POLYGON_WALLET
from moonx_pipeline.storage.syncs.claims import note_movement
from moonx_pipeline.storage.syncs.webhooks import Webhooks, distrust_webhooks, note_delivery
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline.sync.sweep import SweepReport
from moonx_pipeline_tests.fixtures.dagster import eventually
from moonx_pipeline_tests.support.expected import expected
from moonx_pipeline_tests.support.sweeps import make_due, sweep, wallet
from moonx_pipeline_tests.support.syncs import held, operation, portfolio, register, status, violations

ALL = frozenset(chain.id for chain in DEFAULT_CHAINS)
LIMIT = timedelta(minutes=10)
NOTHING = "0x" + "9" * 40
MINUTE = timedelta(minutes=1)


def tell(engine: Engine, at: datetime, *chain_ids: int, until: datetime | None = None) -> None:
    """Webhooks deliver at a time, or every nine minutes of a span, of users who are not ours."""
    last = until or at
    with engine.begin() as connection:
        while at <= last:
            for chain_id in chain_ids or ALL:
                note_delivery(connection, chain_id, made_at=at, now=at, quiet_limit=LIMIT)
            at += 9 * MINUTE


def swept(runtime: Runtime, at: datetime | None = None, *, keys: frozenset[int] = ALL, due: bool = True) -> SweepReport:
    if due:
        make_due(runtime.db.engine, at)
    return sweep(runtime, at=at, webhooks=Webhooks(keys, LIMIT))


def change_untold(simulator: RunningSimulator, held_by_chain: dict[int, str], balance: int) -> None:
    """Something moves on each chain without a word of any webhook."""
    for chain_id, token in held_by_chain.items():
        sim_token = next(t for t in TOKENS.values() if (t.chain_id, t.address) == (chain_id, token))
        simulator.simulation.world.set_balance(PLAIN_WALLET, sim_token, balance)


def a_token_a_chain(engine: Engine) -> dict[int, str]:
    return dict(sorted(held(engine)))


def balances(engine: Engine, tokens: dict[int, str]) -> dict[int, int]:
    found = held(engine)
    return {chain_id: found[chain_id, token] for chain_id, token in tokens.items()}


@pytest.fixture
def ann(engine: Engine, runtime: Runtime) -> datetime:
    """A user whose balances were read by a sweep when all webhooks were alive; the time since when they are."""
    start = utc_now()
    tell(engine, start)
    register(engine, "ann", PLAIN_WALLET)
    assert swept(runtime, due=False).price_only == 0
    return start


def test_who_moved_nothing_is_refreshed_by_price_alone_until_their_balances_are_old(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, ann: datetime
) -> None:
    register(engine, "bob", POLYGON_WALLET)
    swept(runtime)
    simulator.simulation.faults.requests.clear()
    simulator.simulation.world.set_price("ETH", simulator.simulation.world.prices["ETH"] * 2)
    tokens = a_token_a_chain(engine)
    change_untold(simulator, tokens, 7)
    before = portfolio(engine, "ann")

    later = ann + 6 * MINUTE
    report = swept(runtime, later)

    assert report.price_only == 2
    asked = {name for name in simulator.simulation.faults.requests if name.startswith("alchemy")}
    assert all("prices" in name for name in asked), asked
    after = portfolio(engine, "ann")
    assert after.totals.value_usd > before.totals.value_usd
    assert after.totals.stale_chains == ()
    assert {p.key: p.balance for p in after.positions} == {p.key: p.balance for p in before.positions}
    assert [chain.synced_at for chain in after.chains] == [chain.synced_at for chain in before.chains]

    # Something moves in her wallet: she is due at once, and read on all chains.
    with engine.begin() as connection:
        assert note_movement(connection, [PLAIN_WALLET, wallet(99)], later) == ["ann"]
    assert swept(runtime, later, due=False).price_only == 0
    assert set(balances(engine, tokens).values()) == {7}

    # An hour later all balances are read anew.
    much_later = ann + 70 * MINUTE
    tell(engine, ann, until=much_later)
    assert swept(runtime, much_later).price_only == 0
    assert violations(engine) == []


@pytest.mark.parametrize("alive", [{1}, {8453}, {137, 42161}, ALL - {10}, set()], ids=str)
def test_nothing_moved_holds_only_where_a_webhook_is_alive(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, ann: datetime, alive: set[int]
) -> None:
    tokens = a_token_a_chain(engine)
    old = balances(engine, tokens)
    read_at = status(engine).balances_read_at
    synced = {chain.chain_id: chain.synced_at for chain in portfolio(engine).chains}
    change_untold(simulator, tokens, 7)
    if alive:
        tell(engine, ann + 9 * MINUTE, *alive)

    report = swept(runtime, ann + 11 * MINUTE)

    assert (report.price_only, dict(report.statuses)) == (0, {"completed": 1})
    assert balances(engine, tokens) == {c: balance if c in alive else 7 for c, balance in old.items()}
    kept = {c.chain_id for c in portfolio(engine).chains if c.synced_at == synced[c.chain_id]}
    assert kept == set(alive)
    outcomes = {row["chainId"]: row["outcome"] for row in operation(engine).chains}
    assert outcomes == {c: "kept" if c in alive else "ok" for c in ALL}
    # What bounds the age of kept balances is the last time that all were read.
    assert (status(engine).balances_read_at == read_at) == bool(alive)


def test_a_webhook_without_a_key_speaks_for_nothing(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, ann: datetime
) -> None:
    tokens = a_token_a_chain(engine)
    old = balances(engine, tokens)
    change_untold(simulator, tokens, 7)

    swept(runtime, ann + 6 * MINUTE, keys=frozenset({1, 137}))

    assert balances(engine, tokens) == {c: balance if c in (1, 137) else 7 for c, balance in old.items()}


def test_a_webhook_is_relied_on_until_it_is_silent_for_too_long(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, ann: datetime
) -> None:
    tokens = a_token_a_chain(engine)
    change_untold(simulator, tokens, 7)

    assert swept(runtime, ann + LIMIT - MINUTE).price_only == 1
    assert swept(runtime, ann + LIMIT).price_only == 0
    assert set(balances(engine, tokens).values()) == {7}


def test_what_moved_while_a_webhook_was_silent_is_read_when_it_is_alive_again(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, ann: datetime
) -> None:
    tokens = a_token_a_chain(engine)
    tell(engine, ann, *(ALL - {8453}), until=ann + 40 * MINUTE)
    swept(runtime, ann + 20 * MINUTE)  # Base is read, all else is kept
    change_untold(simulator, {8453: tokens[8453]}, 7)

    tell(engine, ann + 22 * MINUTE, 8453)
    swept(runtime, ann + 23 * MINUTE)

    assert balances(engine, tokens)[8453] == 7

    # Once all was read while it was alive, Base is kept like the others.
    with engine.begin() as connection:
        note_movement(connection, [PLAIN_WALLET], ann + 24 * MINUTE)
    tell(engine, ann + 25 * MINUTE)
    assert swept(runtime, ann + 25 * MINUTE, due=False).price_only == 0
    assert swept(runtime, ann + 30 * MINUTE).price_only == 1


def test_balances_from_before_a_webhook_was_set_up_are_read_once_more(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, ann: datetime
) -> None:
    with engine.begin() as connection:
        distrust_webhooks(connection, [10])
    tokens = a_token_a_chain(engine)
    change_untold(simulator, tokens, 7)
    tell(engine, ann + 5 * MINUTE)

    swept(runtime, ann + 6 * MINUTE)

    assert {chain_id for chain_id, balance in balances(engine, tokens).items() if balance == 7} == {10}


def test_partly_kept_balances_are_all_read_when_they_are_old(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, ann: datetime
) -> None:
    tokens = a_token_a_chain(engine)
    change_untold(simulator, tokens, 7)
    tell(engine, ann, 1, until=ann + 70 * MINUTE)

    for minutes in (20, 40, 58):
        swept(runtime, ann + minutes * MINUTE)
        assert balances(engine, tokens)[1] != 7
    swept(runtime, ann + 62 * MINUTE)

    assert balances(engine, tokens)[1] == 7
    assert status(engine).balances_read_at == ann + 62 * MINUTE


def test_a_failed_chain_beside_kept_ones_is_asked_again_despite_its_webhook(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, ann: datetime
) -> None:
    tokens = a_token_a_chain(engine)
    tell(engine, ann, *(ALL - {137}), until=ann + 30 * MINUTE)
    change_untold(simulator, tokens, 7)
    fault = simulator.fault("outage", network="polygon-mainnet")
    read_at = status(engine).balances_read_at

    assert dict(swept(runtime, ann + 15 * MINUTE).statuses) == {"partial": 1}
    assert portfolio(engine).totals.stale_chains == (137,)
    assert status(engine).balances_read_at == read_at
    simulator.simulation.faults.clear(fault)
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM circuit_breakers")

    tell(engine, ann + 16 * MINUTE, 137)
    assert dict(swept(runtime, ann + 20 * MINUTE).statuses) == {"completed": 1}
    assert {c for c, balance in balances(engine, tokens).items() if balance == 7} == {137}
    assert portfolio(engine).totals.stale_chains == ()
    assert violations(engine) == []


def test_a_shared_wallet_is_read_for_the_user_who_needs_it(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, ann: datetime
) -> None:
    tokens = a_token_a_chain(engine)
    old = balances(engine, tokens)
    register(engine, "bob", PLAIN_WALLET, POLYGON_WALLET)
    change_untold(simulator, tokens, 7)
    tell(engine, ann + 9 * MINUTE, 1, 10)

    report = swept(runtime, ann + 11 * MINUTE)

    assert dict(report.statuses) == {"completed": 2}
    assert {held(engine, "bob")[token] for token in tokens.items()} == {7}
    assert balances(engine, tokens) == {c: balance if c in (1, 10) else 7 for c, balance in old.items()}
    assert violations(engine) == []


def _are_read(simulator: RunningSimulator) -> None:
    assert simulator.requests("alchemy")


def test_what_moves_while_a_sync_runs_makes_its_user_due_again(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    tell(engine, utc_now())
    register(engine, "ann", PLAIN_WALLET)
    simulator.simulation.faults.latency_ms["all"] = 400
    with ThreadPoolExecutor(1) as side:
        sweeping = side.submit(swept, runtime, due=False)
        # What moved before the reading began is in it, and needs no other.
        eventually(lambda: _are_read(simulator))
        with engine.begin() as connection:
            note_movement(connection, [PLAIN_WALLET], utc_now())
        report = sweeping.result()

    # The same sweep came by once more, and read them again.
    assert (dict(report.statuses), report.price_only) == ({"completed": 2}, 0)
    assert status(engine).next_sync_at > utc_now()


def test_a_chain_that_was_not_read_is_asked_for_again_however_little_moved(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    tell(engine, utc_now())
    register(engine, "ann", POLYGON_WALLET)
    simulator.fault("outage", network="polygon-mainnet")
    assert dict(swept(runtime, due=False).statuses) == {"partial": 1}
    simulator.simulation.faults.clear()

    report = swept(runtime)

    assert (report.price_only, dict(report.statuses)) == (0, {"completed": 1})
    assert held(engine, "ann") == expected(POLYGON_WALLET)
