"""Wallets with so many tokens that one sync can't read them: what was read is kept, and the next sync goes on."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from moonx_pipeline.domain.chains import DEFAULT_CHAINS
from moonx_pipeline.domain.portfolio import ChainOutcome
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import PLAIN_WALLET, SPAM_WALLET, initial_holdings
from moonx_pipeline.sync.balances.bulk_round import GRACE_SECONDS
from moonx_pipeline.sync.balances.fallback import PlaceInList
from moonx_pipeline.sync.balances.fetch import BalanceFetch
from moonx_pipeline.sync.calls import ProviderCalls
from moonx_pipeline.sync.protection.breakers import Breakers, load_breakers
from moonx_pipeline.sync.runtime import Runtime, open_runtime
from moonx_pipeline_tests.fixtures.simulator import FAST, UNLIMITED
from moonx_pipeline_tests.support.syncs import events, held, operation, portfolio, register, sync, violations

CHAIN_IDS = [chain.id for chain in DEFAULT_CHAINS]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def everything(wallet: str = SPAM_WALLET) -> dict[tuple[int, str], int]:
    return {
        (chain_id, holding.token.address): holding.balance
        for chain_id, holdings in initial_holdings(wallet).items()
        for holding in holdings
        if holding.balance
    }


def sources_with(engine: Engine, simulator: RunningSimulator, **more: str) -> Runtime:
    return open_runtime(Settings.from_environment({**simulator.environment(), **FAST, **UNLIMITED, **more}), engine)


@pytest.fixture
def slow(engine: Engine, simulator: RunningSimulator) -> Runtime:
    """Clients that read two pages of a list a sync; the spam wallet has six on each chain."""
    return sources_with(engine, simulator, PROVIDER_MAX_PAGES="2")


def statuses(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.exec_driver_sql("SELECT * FROM user_chain_status ORDER BY chain_id"))


@pytest.mark.slow
def test_a_list_too_long_for_one_sync_is_read_over_several(engine: Engine, slow: Runtime) -> None:
    register(engine, "ann", SPAM_WALLET)

    first = sync(slow, at=NOON)

    assert first.status == "partial"
    assert "Read in part: 200 tokens so far; the next sync goes on there." in (first.message or "")
    assert {row.status for row in statuses(engine)} == {"never"}
    assert all(row.resume_key and row.resume_since == NOON for row in statuses(engine))
    # What was read is there already, and counts.
    assert len(held(engine)) == 5 * 201
    assert held(engine).items() <= everything().items()
    stored = portfolio(engine)
    assert stored.total_value_usd == stored.totals.value_usd > 0
    assert not stored.totals.complete
    assert violations(engine) == []

    second = sync(slow, at=NOON + timedelta(minutes=1))

    assert second.status == "partial"
    assert "200 more tokens" in (second.message or "")
    assert len(held(engine)) == 5 * 401
    assert violations(engine) == []

    third = sync(slow, at=NOON + timedelta(minutes=2))

    assert third.status == "completed"
    assert held(engine) == everything()
    # It is as old as its oldest part.
    assert {(row.status, row.last_success_at, row.resume_key) for row in statuses(engine)} == {("fresh", NOON, None)}
    assert portfolio(engine).totals.complete
    assert violations(engine) == []
    assert [event["eventType"] for event in events(engine)].count("portfolio.updated") == 3


@pytest.mark.slow
def test_a_list_that_goes_on_takes_away_only_what_it_says_is_gone(
    engine: Engine, runtime: Runtime, slow: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", SPAM_WALLET)
    sync(runtime)
    assert held(engine) == everything()
    rows = [holding.token for holding in initial_holdings(SPAM_WALLET)[1] if not holding.token.is_native]
    early, late = rows[0], rows[-1]
    for token in (early, late):
        simulator.simulation.world.set_balance(SPAM_WALLET, token, 0)

    sync(slow)

    gone = {(1, early.address)}
    assert everything().keys() - held(engine).keys() == gone
    assert {row.status for row in statuses(engine)} == {"stale"}
    sync(slow)
    sync(slow)

    assert everything().keys() - held(engine).keys() == {*gone, (1, late.address)}
    assert {row.status for row in statuses(engine)} == {"fresh"}


def test_a_failure_in_between_loses_neither_what_was_read_nor_the_place(
    engine: Engine, slow: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", SPAM_WALLET)
    sync(slow)
    before, places = held(engine), [row.resume_key for row in statuses(engine)]
    simulator.fault("outage")

    assert sync(slow).status == "failed"

    assert held(engine) == before
    assert [row.resume_key for row in statuses(engine)] == places
    assert violations(engine) == []
    simulator.simulation.faults.clear()
    sync(slow)
    sync(slow)
    assert held(engine) == everything()


def test_a_sync_whose_only_news_is_a_part_of_a_list_stores_its_total(
    engine: Engine, slow: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", SPAM_WALLET)
    simulator.fault("outage", endpoint="tokens/by-address")
    for name in ("polygon-mainnet", "opt-mainnet", "arb-mainnet", "base-mainnet"):
        simulator.fault("outage", network=name, endpoint="eth_getBalance")

    assert sync(slow).status == "partial"

    stored = portfolio(engine)
    assert {position.chain_id for position in stored.positions} == {1}
    assert stored.total_value_usd == stored.totals.value_usd > 0
    assert operation(engine).chains_synced == 0
    assert violations(engine) == []


def test_the_first_reading_of_a_long_list_costs_little_and_keeps_its_names(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", SPAM_WALLET)

    assert sync(runtime).status == "completed"

    assert simulator.requests("alchemy tokens/by-address") == 3
    assert simulator.requests("alchemy alchemy_getTokenBalances") == 5 * 6
    simulator.simulation.faults.requests.clear()

    sync(runtime, trigger="schedule")

    # From then on it is known to be long.
    assert simulator.requests("alchemy tokens/by-address") == simulator.requests("alchemy balances/by-address") == 0
    assert simulator.requests("alchemy alchemy_getTokenBalances") == 5 * 6


@pytest.mark.slow
def test_six_thousand_tokens_are_read_in_the_first_sync_on_the_smallest_plan(
    engine: Engine, simulator: RunningSimulator
) -> None:
    wallet = "0x" + "5e" * 20
    world = simulator.simulation.world
    for number in range(5_400):
        world.add_token(f"J{number}", address=f"0x{0xB00000 + number:040x}", held={wallet: "1"})
    environment = {**simulator.environment(), "WORKER_TIMEOUT": "60000"}
    runtime = open_runtime(Settings.from_environment(environment), engine)  # 500 units/s, 300 requests/min
    breakers = load_breakers(runtime.db, runtime.policy.breakers, runtime.providers.breaker_keys)
    calls = ProviderCalls(runtime.providers, breakers, CallScope.lasting(36))
    fetch = BalanceFetch(calls, [wallet], CHAIN_IDS, with_metadata=True, many_tokens=(), memory=NoMemory()).start()

    readings = {chain_id: fetch.read_chain(chain_id)[0] for chain_id in CHAIN_IDS}

    assert {reading.outcome for reading in readings.values()} == {ChainOutcome.OK}
    assert len(readings[1].balances) > 5_400
    assert calls.scope.compute_units < 5_000  # what may be asked at once


class NoMemory:
    """Of wallets that nobody read before."""

    def place_in_list(self, wallet: str, chain_id: int) -> PlaceInList:
        return PlaceInList()

    def tokens(self, wallet: str, chain_id: int) -> list[str]:
        return []

    def newest_block(self, wallet: str, chain_id: int) -> int | None:
        return None

    def shown(self, wallet: str, chain_id: int) -> list[str]:
        return []

    def listed(self, chain_id: int) -> list[str]:
        return []


def fetch_of(runtime: Runtime, *wallets: str, **more: Any) -> BalanceFetch:
    calls = ProviderCalls(runtime.providers, Breakers(runtime.policy.breakers, {}), CallScope.lasting(30))
    given = {"with_metadata": False, "many_tokens": (), "memory": NoMemory()}
    return BalanceFetch(calls, wallets, CHAIN_IDS, **{**given, **more})


def test_a_sweep_reads_long_and_short_lists_side_by_side(runtime: Runtime, simulator: RunningSimulator) -> None:
    fetch = fetch_of(runtime, SPAM_WALLET, PLAIN_WALLET, many_tokens={SPAM_WALLET})

    assert fetch.start_reserved(lambda _: False)

    found = [fetch.read_chain(chain_id) for chain_id in CHAIN_IDS]
    for wallet, place in ((SPAM_WALLET, 0), (PLAIN_WALLET, 1)):
        read = {(r[place].chain_id, token): b for r in found for token, b in r[place].balances.items()}
        assert read == everything(wallet)
    assert simulator.requests("alchemy balances/by-address") == 1


def test_what_is_quiet_is_not_asked(runtime: Runtime, simulator: RunningSimulator) -> None:
    quiet = {(SPAM_WALLET, chain_id) for chain_id in CHAIN_IDS} | {(PLAIN_WALLET, 1), (PLAIN_WALLET, 137)}
    fetch = fetch_of(runtime, PLAIN_WALLET, SPAM_WALLET, many_tokens={SPAM_WALLET}, quiet=quiet).start()

    found = {(r.wallet, r.chain_id): r for chain_id in CHAIN_IDS for r in fetch.read_chain(chain_id)}

    assert {pair for pair, reading in found.items() if reading.outcome is ChainOutcome.KEPT} == quiet
    assert {chain_id for (_, chain_id), reading in found.items() if reading.outcome is ChainOutcome.OK} == {
        10,
        42161,
        8453,
    }
    assert simulator.requests("alchemy") == 1
    simulator.simulation.faults.requests.clear()

    all_quiet = fetch_of(runtime, PLAIN_WALLET, quiet={(PLAIN_WALLET, chain_id) for chain_id in CHAIN_IDS}).start()

    assert {r.outcome for c in CHAIN_IDS for r in all_quiet.read_chain(c)} == {ChainOutcome.KEPT}
    assert simulator.requests() == 0


def test_chains_that_hang_share_one_grace(runtime: Runtime) -> None:
    calls = ProviderCalls(runtime.providers, Breakers(runtime.policy.breakers, {}), CallScope.lasting(0))
    never_started = BalanceFetch(
        calls, [PLAIN_WALLET], CHAIN_IDS, with_metadata=False, many_tokens=(), memory=NoMemory()
    )
    began = time.monotonic()

    found = [reading for chain_id in CHAIN_IDS for reading in never_started.read_chain(chain_id)]

    assert time.monotonic() - began < 2 * GRACE_SECONDS
    assert {(reading.outcome, reading.error_code) for reading in found} == {(ChainOutcome.FAILED, "deadline_over")}
