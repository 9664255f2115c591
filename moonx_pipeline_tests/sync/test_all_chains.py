"""A sync of a wallet on every known chain, with all of them switched on."""

from __future__ import annotations

from decimal import Decimal

import jsonschema
import pytest
from sqlalchemy import Engine

from moonx_pipeline.domain.chains import DEFAULT_CHAINS, KNOWN_CHAINS
from moonx_pipeline.domain.money import total_of
from moonx_pipeline.events.schema import event_schemas
from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import EVERY_CHAIN_WALLET, PLAIN_WALLET, World, initial_holdings
from moonx_pipeline.sync.runtime import Runtime, open_runtime
from moonx_pipeline.views.portfolio import portfolio_json
from moonx_pipeline_tests.fixtures.simulator import FAST, UNLIMITED
from moonx_pipeline_tests.support.syncs import events, held, portfolio, register, sync, violations

ALL = ",".join(chain.slug for chain in KNOWN_CHAINS)
ALL_IDS = [chain.id for chain in KNOWN_CHAINS]
MOST_NETWORKS_A_CALL = 5


@pytest.fixture
def settings(simulator: RunningSimulator) -> Settings:
    return Settings.from_environment({**simulator.environment(), **FAST, **UNLIMITED, "CHAINS": ALL})


@pytest.fixture(name="world")
def _world(simulator: RunningSimulator) -> World:
    return simulator.simulation.world


def in_world(wallet: str) -> dict[tuple[int, str], int]:
    return {(c, h.token.address): h.balance for c, held in initial_holdings(wallet).items() for h in held if h.balance}


def test_every_chain_is_read_and_valued(engine: Engine, runtime: Runtime, world: World) -> None:
    register(engine, "ann", EVERY_CHAIN_WALLET)

    outcome = sync(runtime)

    assert outcome.status == "completed"
    assert held(engine) == in_world(EVERY_CHAIN_WALLET)
    stored = portfolio(engine)
    assert [(chain.chain_id, chain.status) for chain in stored.chains] == [(c, "fresh") for c in ALL_IDS]
    assert [chain["name"] for chain in portfolio_json(stored)["chains"]] == [chain.name for chain in KNOWN_CHAINS]
    counted = [p for p in stored.positions if p.not_counted_reason is None]
    assert {p.chain_id for p in counted} == set(ALL_IDS)
    for p in counted:
        token = world.token(p.chain_id, p.token)
        assert token is not None
        assert p.decimals == token.decimals
        usd = world.usd(token) or Decimal(0)
        assert p.price_usd is not None
        assert abs(p.price_usd - usd) <= usd * Decimal("1e-9"), p.symbol
    assert stored.totals.value_usd == total_of(p.value_usd for p in counted if p.value_usd is not None)
    assert stored.totals.complete
    assert violations(engine) == []


def test_events_name_every_chain_and_fit_their_schemas(engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", EVERY_CHAIN_WALLET)
    sync(runtime)

    told = {event["eventType"]: event for event in events(engine)}

    assert told["sync.started"]["data"]["chains"] == ALL_IDS
    assert told["sync.completed"]["data"]["chainsSync"] == len(ALL_IDS)
    assert {token["chainId"] for token in told["portfolio.updated"]["data"]["tokens"]} == set(ALL_IDS)
    for kind, event in told.items():
        jsonschema.validate(event, event_schemas()[kind], cls=jsonschema.Draft202012Validator)


def test_a_first_read_of_more_chains_than_a_call_takes_costs_a_call_more(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", EVERY_CHAIN_WALLET)

    sync(runtime)

    assert simulator.requests("alchemy tokens/by-address 400") == 0
    assert simulator.requests("alchemy tokens/by-address") == -(-len(ALL_IDS) // MOST_NETWORKS_A_CALL)
    assert simulator.requests("alchemy alchemy_getTokenBalances") == 0


@pytest.mark.parametrize("network", ["bnb-mainnet", "unichain-mainnet"])
def test_a_chain_that_fails_leaves_the_others_whole(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, network: str
) -> None:
    register(engine, "ann", EVERY_CHAIN_WALLET)
    simulator.fault("partial_error", network=network)
    simulator.fault("outage", network=network, endpoint="eth_getBalance")

    outcome = sync(runtime)

    failed = next(chain for chain in KNOWN_CHAINS if chain.alchemy_network == network)
    stored = portfolio(engine)
    assert outcome.status == "partial"
    assert {c.chain_id for c in stored.chains if c.status != "fresh"} == {failed.id}
    assert not stored.totals.complete


def test_a_wallet_with_nothing_on_most_chains_is_whole(engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", PLAIN_WALLET)

    sync(runtime)

    stored = portfolio(engine)
    assert held(engine) == in_world(PLAIN_WALLET)
    assert {chain.status for chain in stored.chains} == {"fresh"}
    assert len(stored.chains) == len(ALL_IDS)


def test_a_chain_that_is_read_no_more_goes_with_its_holdings(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, world: World
) -> None:
    register(engine, "ann", EVERY_CHAIN_WALLET)
    sync(runtime)
    fewer = open_runtime(Settings.from_environment({**simulator.environment(), **FAST, **UNLIMITED}), engine)

    assert sync(fewer).status == "completed"

    stored, read = portfolio(engine), [chain.id for chain in DEFAULT_CHAINS]
    assert [(chain.chain_id, chain.status) for chain in stored.chains] == [(chain_id, "fresh") for chain_id in read]
    assert {position.chain_id for position in stored.positions} == set(read)
    assert stored.totals.complete
    assert violations(engine) == []
    assert sync(runtime).status == "completed"
    assert held(engine) == in_world(EVERY_CHAIN_WALLET)
