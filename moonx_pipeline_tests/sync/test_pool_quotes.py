"""What pools say, over real HTTP: tokens quoted in tokens that nobody holds, and answers that were cut."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from moonx_pipeline.domain.chains import NATIVE_TOKEN
from moonx_pipeline.domain.evidence import DepthState
from moonx_pipeline.domain.portfolio import TokenKey
from moonx_pipeline.domain.quotes import PriceSource
from moonx_pipeline.simulator.pools import Pool
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.tokens import SimToken
from moonx_pipeline.simulator.world import World
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline_tests.support.quote_rounds import SIX_MINUTES, RoundResult, ask, key, list_token
from moonx_pipeline_tests.support.syncs import age_prices

DEEP, THIN, UNKNOWN = DepthState


@pytest.fixture(name="world")
def _world(simulator: RunningSimulator) -> World:
    return simulator.simulation.world


@pytest.fixture
def quoted(engine: Engine, world: World) -> SimToken:
    """A listed token with a deep pool, which nobody asks about."""
    token = world.add_token("SIDE", chain_id=8453, price="1.31", pools=[Pool(9_000_000)], coingecko_id="side-coin")
    list_token(engine, token, "side-coin")
    return token


def state_of(asked: RoundResult, token: SimToken) -> DepthState | None:
    depth = asked.market.own_evidence(key(token)).depth
    return depth.state if depth else None


def against(world: World, other: SimToken | str, *, symbol: str = "MINE", depth: int | None = 400_000) -> SimToken:
    """A token whose only pool is against another."""
    address = other if isinstance(other, str) else other.address
    return world.add_token(symbol, chain_id=8453, price="0.25", pools=[Pool(depth, quote=address)])


def only_pools(world: World, *tokens: SimToken) -> None:
    """No other source has a price of tokens."""
    for token in tokens:
        for source in ("alchemy", "defillama"):
            world.set_source_price(source, token, None)


# -- quoted in a token that nobody holds


def test_a_pool_may_be_quoted_in_a_listed_deep_token_that_nobody_holds(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, world: World, quoted: SimToken
) -> None:
    mine = against(world, quoted)

    asked = ask(runtime, mine)

    assert (asked.usd(mine), asked.choice(mine).rule, state_of(asked, mine)) == (Decimal("0.25"), "deep_pools", DEEP)
    assert simulator.requests("defillama") == 0


@pytest.mark.parametrize(("between", "state"), [(1, DEEP), (2, UNKNOWN)])
def test_that_is_followed_through_two_tokens_and_no_further(
    engine: Engine, runtime: Runtime, world: World, quoted: SimToken, between: int, state: DepthState
) -> None:
    other = quoted
    for number in range(between):
        other = world.add_token(f"LINK{number}", chain_id=8453, price="2", pools=[Pool(5_000_000, quote=other.address)])
        list_token(engine, other)
    mine = against(world, other)

    assert state_of(ask(runtime, mine), mine) is state


def test_a_pool_in_an_unlisted_token_is_unknown_however_deep_that_is(
    engine: Engine, runtime: Runtime, world: World
) -> None:
    other = world.add_token("DEEP", chain_id=8453, price="3", pools=[Pool(5_000_000)])
    mine = against(world, other)
    stranger = against(world, "0x" + "57" * 20, symbol="STRANGE")

    asked = ask(runtime, mine, other, stranger)

    assert [state_of(asked, token) for token in (mine, other, stranger)] == [UNKNOWN, DEEP, UNKNOWN]
    # Alchemy and DefiLlama agree where pools say nothing that counts.
    assert {use.quote.source for use in asked.choice(mine).uses if use.use in ("chosen", "agrees")} == {
        PriceSource.ALCHEMY,
        PriceSource.DEFILLAMA,
    }


@pytest.mark.parametrize(
    "why", ["its price is outdated", "its runtime are far apart", "its own pools are thin", "nobody prices it"]
)
def test_a_pool_in_a_listed_token_that_is_in_doubt_is_unknown(
    engine: Engine, runtime: Runtime, world: World, quoted: SimToken, why: str
) -> None:
    only_pools(world, quoted)
    if why == "its price is outdated":
        world.set_source_price("coingecko", quoted, "1.31", age=timedelta(days=60))
        world.set_source_price("dexscreener", quoted, None)
    elif why == "its runtime are far apart":
        world.set_source_price("coingecko", quoted, "131")
    elif why == "its own pools are thin":
        world.set_pools(quoted, Pool(200))
    else:
        world.set_source_price("coingecko", quoted, None)
        world.set_source_price("dexscreener", quoted, None)
    mine = against(world, quoted)

    assert state_of(ask(runtime, mine), mine) is UNKNOWN


@pytest.mark.parametrize("fault", ["outage", "empty_answer", "zero_price", "no_price", "no_liquidity"])
def test_what_was_deep_by_such_a_pool_stays_so_when_the_other_token_is_not_told_of(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, world: World, quoted: SimToken, fault: str
) -> None:
    mine = against(world, quoted)
    ask(runtime, mine)
    simulator.fault(fault, "dexscreener", params={"token": quoted.address} if fault != "outage" else {})
    simulator.fault("outage", "coingecko")
    age_prices(engine, timedelta(minutes=50))

    asked = ask(runtime, mine)

    assert (asked.usd(mine), state_of(asked, mine)) == (Decimal("0.25"), DEEP)


@pytest.mark.parametrize("version", ["v3", "v4"])
def test_a_pool_of_version_4_is_against_the_native_coin_itself(
    engine: Engine, runtime: Runtime, world: World, version: str
) -> None:
    mine = world.add_token("FOUR", price="12", pools=[Pool(1_100_000, quote=NATIVE_TOKEN, version=version)])
    asked = ask(runtime, mine)
    assert (asked.usd(mine), state_of(asked, mine)) == (12, DEEP)


def test_an_unlisted_token_may_be_quoted_in_a_major_that_is_not_held(
    engine: Engine, runtime: Runtime, world: World
) -> None:
    tokens = [
        world.add_token(f"IN{major}", price="3", pools=[Pool(300_000, quote=world.named(major).address)])
        for major in ("WBTC", "USDC", "stETH", "LINK", "DAI")
    ]
    asked = ask(runtime, *tokens)
    assert {state_of(asked, token) for token in tokens} == {DEEP}


# -- what a pool does not say


@pytest.mark.parametrize("fault", ["zero_price", "no_price"])
def test_deep_pools_without_a_price_stay_deep_and_the_last_price_stays(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, world: World, fault: str
) -> None:
    mine = world.add_token("MUTE", price="8", pools=[Pool(700_000)])
    only_pools(world, mine)
    ask(runtime, mine)
    simulator.fault(fault, "dexscreener")
    age_prices(engine, SIX_MINUTES)

    asked = ask(runtime, mine)

    assert (asked.usd(mine), state_of(asked, mine)) == (8, DEEP)
    assert asked.choice(mine).flags == ("old_price",)


def test_a_pool_that_hides_its_depth_is_neither_deep_nor_thin(engine: Engine, runtime: Runtime, world: World) -> None:
    mine = world.add_token("HIDE", price="8", pools=[Pool(None, volume_usd=4_000_000)])
    asked = ask(runtime, mine)
    assert (asked.usd(mine), state_of(asked, mine)) == (8, UNKNOWN)


# -- answers that were cut


def crowd(world: World, number: int, *pools: Pool, chain_id: int = 8453) -> list[SimToken]:
    return [world.add_token(f"CROWD{n}", chain_id=chain_id, price="0.5", pools=pools) for n in range(number)]


@pytest.mark.parametrize("pools", [(Pool(90),), (Pool(90), Pool(400)), tuple(Pool(10 + n) for n in range(9))], ids=len)
def test_every_token_of_a_crowd_with_thin_pools_is_answered_for_in_the_end(
    engine: Engine, runtime: Runtime, world: World, pools: tuple[Pool, ...]
) -> None:
    tokens = crowd(world, 34, *pools)
    for _ in range(3):
        asked = ask(runtime, *tokens)
        if all(state_of(asked, token) is THIN for token in tokens):
            break
        age_prices(engine, SIX_MINUTES)
    assert {state_of(asked, token) for token in tokens} == {THIN}
    assert {asked.choice(token).rule for token in tokens} == {"thin_pools"}


def test_tokens_whose_deep_pools_an_answer_had_no_room_for_are_not_called_thin(
    engine: Engine, runtime: Runtime, world: World
) -> None:
    thin_first = [*(Pool(20 + n) for n in range(11)), Pool(2_000_000)]
    tokens = crowd(world, 6, *thin_first)

    asked = ask(runtime, *tokens)

    assert {state_of(asked, token) for token in tokens} == {DEEP}
    assert {asked.usd(token) for token in tokens} == {Decimal("0.5")}


def test_a_token_that_popular_ones_push_out_is_asked_for_again(engine: Engine, runtime: Runtime, world: World) -> None:
    crowd(world, 6, *(Pool(5_000_000 + n) for n in range(12)))
    quiet = world.add_token("QUIET", chain_id=8453, price="2", pools=[Pool(300_000)])
    popular = [key(token) for token in world.tokens() if (token.symbol or "").startswith("CROWD")]

    asked = ask(runtime, *popular, quiet)

    assert (asked.usd(quiet), state_of(asked, quiet)) == (2, DEEP)


def test_a_drained_token_in_a_crowd_is_found_out(engine: Engine, runtime: Runtime, world: World) -> None:
    tokens = crowd(world, 30, Pool(900_000))
    ask(runtime, *tokens)
    world.set_pools(tokens[3], Pool(15), Pool(25))
    age_prices(engine, SIX_MINUTES)

    asked = ask(runtime, *tokens)

    assert state_of(asked, tokens[3]) is THIN
    assert asked.choice(TokenKey(8453, tokens[3].address)).rule == "thin_pools"
