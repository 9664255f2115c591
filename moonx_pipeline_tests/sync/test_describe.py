"""What tokens are called: asked once where the answer is whole, and again where it lacks something, later each time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from moonx_pipeline.domain.portfolio import ChainBalances, ChainOutcome, TokenInfo, TokenKey
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.tokens import SimToken
from moonx_pipeline.simulator.world import World
from moonx_pipeline.storage.tokens.token_store import FetchedMetadata, TokenStore, read_tokens, write_tokens
from moonx_pipeline.sync.calls import ProviderCalls
from moonx_pipeline.sync.pricing.metadata import fetch_metadata, lacks_metadata, waits_for
from moonx_pipeline.sync.protection.breakers import Breakers
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline_tests.support.quote_rounds import key, list_token, stored_market

WHOLE = TokenInfo("TKN", "Token", 6)


@pytest.fixture(name="world")
def _world(simulator: RunningSimulator) -> World:
    return simulator.simulation.world


def stored(engine: Engine, keys: set[TokenKey]) -> TokenStore:
    with engine.connect() as connection:
        return read_tokens(connection, keys)


def describe(
    runtime: Runtime, *tokens: SimToken, came_along: Mapping[SimToken, TokenInfo] | None = None
) -> dict[TokenKey, FetchedMetadata]:
    """Describes tokens, and stores what was learned."""
    keys = {key(token) for token in tokens}
    book, market = stored(runtime.db.engine, keys), stored_market(runtime, keys)
    readings = [
        ChainBalances("0x" + "ab" * 20, token.chain_id, ChainOutcome.OK, tokens={token.address: info}, source="alchemy")
        for token, info in (came_along or {}).items()
    ]
    calls = ProviderCalls(runtime.providers, Breakers(runtime.policy.breakers, {}), CallScope.lasting(20))
    described = fetch_metadata(keys, book, readings, market, calls, most=runtime.policy.most_metadata)
    with runtime.db.engine.begin() as connection:
        write_tokens(connection, tokens=described, evidence={})
    return described


def let_pass(engine: Engine, time: timedelta) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE token_metadata SET read_at = read_at - %s", (time,))


def test_the_wait_grows_and_has_an_end() -> None:
    waits = [waits_for(tries) for tries in range(1, 30)]
    assert waits[:3] == [timedelta(seconds=5), timedelta(seconds=20), timedelta(seconds=80)]
    assert waits == sorted(waits)
    assert waits[-1] == timedelta(days=7)
    assert waits_for(0) == waits_for(1)


def test_a_whole_answer_is_asked_for_once(engine: Engine, runtime: Runtime, simulator, world: World) -> None:
    token = world.add_token("TKN", name="Token", decimals=6)
    assert describe(runtime, token) == {key(token): FetchedMetadata(WHOLE, "alchemy", 0)}
    before = simulator.requests("alchemy")
    assert describe(runtime, token) == {}
    assert simulator.requests("alchemy") == before


def test_what_came_along_costs_no_call(engine: Engine, runtime: Runtime, simulator, world: World) -> None:
    token = world.add_token("TKN", name="Token", decimals=6)
    assert describe(runtime, token, came_along={token: WHOLE}) == {key(token): FetchedMetadata(WHOLE, "alchemy", 0)}
    assert simulator.requests("alchemy") == 0


def test_an_answer_that_lacks_something_is_asked_for_again_later(
    engine: Engine, runtime: Runtime, simulator, world: World
) -> None:
    token = world.add_token(None, name=None, decimals=None)
    first = describe(runtime, token)[key(token)]
    assert first.tries == 1
    assert describe(runtime, token) == {}
    world.set_metadata(token, symbol="TKN", name="Token", decimals=6)
    let_pass(engine, timedelta(seconds=6))
    assert describe(runtime, token)[key(token)] == FetchedMetadata(WHOLE, "alchemy", 0)


def test_an_answer_that_lacks_something_takes_nothing_away(engine: Engine, runtime: Runtime, world: World) -> None:
    token = world.add_token("TKN", name="Token", decimals=None)
    describe(runtime, token)
    world.set_metadata(token, symbol=None, name=None, decimals=6)
    let_pass(engine, timedelta(minutes=1))
    assert describe(runtime, token)[key(token)].info == WHOLE


def test_a_source_that_fails_leaves_tokens_as_they_were(
    engine: Engine, runtime: Runtime, simulator, world: World
) -> None:
    token = world.add_token("TKN", name="Token", decimals=6)
    simulator.fault("outage", endpoint="alchemy_getTokenMetadata")
    simulator.fault("outage", endpoint="eth_call")
    assert describe(runtime, token) == {}
    market = stored_market(runtime, {key(token)})
    assert lacks_metadata({key(token)}, stored(engine, {key(token)}), [], market)


@pytest.mark.parametrize("fault", ["null_metadata", "null_decimals", "odd_decimals"])
def test_a_listed_token_that_alchemy_does_not_know_is_asked_itself(
    engine: Engine, runtime: Runtime, simulator, world: World, fault: str
) -> None:
    token = world.add_token("TKN", name="Token", decimals=6)
    list_token(engine, token)
    simulator.fault(fault, params={"token": token.address})
    assert describe(runtime, token)[key(token)].info == WHOLE


# -- metadata of a month ago


def test_a_token_with_a_market_is_asked_again_after_a_month(
    engine: Engine, runtime: Runtime, simulator, world: World
) -> None:
    token, spam = (world.add_token(symbol, name="Token", decimals=6) for symbol in ("TKN", "SPAM"))
    list_token(engine, token)
    describe(runtime, token, spam)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE token_metadata SET symbol = 'OLD', name = 'Old name', decimals = 8")
    let_pass(engine, timedelta(days=29))
    assert describe(runtime, token, spam) == {}

    let_pass(engine, timedelta(days=2))
    assert lacks_metadata({key(token)}, stored(engine, {key(token)}), [], stored_market(runtime, {key(token)}))
    assert {key: what.info for key, what in describe(runtime, token, spam).items()} == {key(token): WHOLE}

    before = simulator.requests("alchemy")
    assert describe(runtime, token, spam) == {}
    assert simulator.requests("alchemy") == before


def test_what_is_still_so_after_a_month_is_not_asked_again_at_once(
    engine: Engine, runtime: Runtime, world: World
) -> None:
    token = world.add_token("TKN", name="Token", decimals=6)
    list_token(engine, token)
    describe(runtime, token)
    let_pass(engine, timedelta(days=31))

    assert describe(runtime, token)[key(token)].info == WHOLE
    assert describe(runtime, token) == {}


def test_decimals_of_a_month_ago_stay_while_the_contract_can_not_be_asked(
    engine: Engine, runtime: Runtime, simulator, world: World
) -> None:
    token = world.add_token("TKN", name="Token", decimals=6)
    list_token(engine, token)
    describe(runtime, token)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE token_metadata SET decimals = 8")
    let_pass(engine, timedelta(days=31))
    simulator.fault("outage", "alchemy", endpoint="eth_call")

    assert describe(runtime, token)[key(token)].info == WHOLE._replace(decimals=8)


# -- decimals that an answer gives otherwise


@pytest.mark.parametrize("wrong", [0, 8, 18])
def test_decimals_that_differ_are_settled_by_the_contract(
    engine: Engine, runtime: Runtime, world: World, wrong: int
) -> None:
    token = world.add_token("TKN", name="Token", decimals=6)
    describe(runtime, token)
    told = describe(runtime, token, came_along={token: WHOLE._replace(name="Renamed", decimals=wrong)})
    assert told[key(token)].info == WHOLE._replace(name="Renamed")
    assert stored(engine, {key(token)}).tokens[key(token)] == WHOLE._replace(name="Renamed")


def test_decimals_that_were_wrong_at_first_are_put_right(engine: Engine, runtime: Runtime, world: World) -> None:
    token = world.add_token("TKN", name="Token", decimals=6)
    describe(runtime, token, came_along={token: WHOLE._replace(decimals=0)})
    assert describe(runtime, token, came_along={token: WHOLE})[key(token)].info == WHOLE


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["outage", "rate_limit"])
def test_known_decimals_stay_while_the_contract_can_not_be_asked(
    engine: Engine, runtime: Runtime, simulator, world: World, fault: str
) -> None:
    token, other = (world.add_token(symbol, name="Token", decimals=6) for symbol in ("TKN", "NEW"))
    describe(runtime, token)
    simulator.fault(fault, "alchemy", endpoint="eth_call")
    wrong = TokenInfo("NEW", "Token", 0)
    told = describe(runtime, token, other, came_along={token: WHOLE._replace(decimals=0), other: wrong})
    assert {key: what.info.decimals for key, what in told.items()} == {key(token): 6, key(other): 0}
