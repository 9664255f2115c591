"""Rounds of asking for prices, over real HTTP: who is asked, how often, and what is known afterwards."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from moonx_pipeline.domain.chains import ETHEREUM, NATIVE_TOKEN
from moonx_pipeline.domain.flags import (
    OLD_PRICE,
    OUTDATED_PRICE,
    PRICE_JUMP,
    SOURCES_DISAGREE,
    SOURCES_FAR_APART,
    UNCONFIRMED_PRICE,
)
from moonx_pipeline.domain.market import USDT_KEY
from moonx_pipeline.domain.portfolio import TokenKey
from moonx_pipeline.domain.quotes import PriceSource
from moonx_pipeline.providers.alchemy_prices import AlchemyPrices
from moonx_pipeline.simulator.pools import Pool
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.tokens import TOKENS, SimToken
from moonx_pipeline.simulator.world import World
from moonx_pipeline.sync.pricing.plan import MAX_ASKED
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline_tests.support.quote_rounds import SIX_MINUTES, RoundResult, ask, key, list_token, second_opinion
from moonx_pipeline_tests.support.syncs import age_prices

ETHER, WETH = TokenKey(1, NATIVE_TOKEN), TokenKey(1, ETHEREUM.wrapped_native)
NIMB = next(TokenKey(*key) for key, token in TOKENS.items() if (key[0], token.symbol) == (8453, "NIMB"))


@pytest.fixture(name="world")
def _world(simulator: RunningSimulator) -> World:
    return simulator.simulation.world


def calls(simulator: RunningSimulator) -> dict[str, int]:
    """Requests since the last time, by provider."""
    made = {
        name: count
        for name in ("binance", "coingecko", "defillama", "dexscreener", "alchemy")
        if (count := simulator.requests(name))
    }
    simulator.simulation.faults.requests.clear()
    return made


# -- how much is asked


def test_a_fresh_price_is_used_and_nobody_is_asked(engine: Engine, runtime: Runtime, simulator) -> None:
    assert ask(runtime, ETHER).usd(ETHER) == Decimal("2500.10")
    assert calls(simulator) == {"binance": 1, "coingecko": 1}
    age_prices(engine, timedelta(minutes=4))

    again = ask(runtime, ETHER)

    assert (again.usd(ETHER), calls(simulator), again.market.learned) == (Decimal("2500.10"), {}, {})


def test_a_person_gets_prices_read_anew(engine: Engine, runtime: Runtime, simulator, world: World) -> None:
    ask(runtime, ETHER)
    age_prices(engine, timedelta(minutes=1))
    world.set_price("ETH", Decimal(2600))
    calls(simulator)

    assert ask(runtime, ETHER).usd(ETHER) == Decimal("2500.10")
    assert ask(runtime, ETHER, trigger="manual").usd(ETHER) == 2600
    assert calls(simulator) == {"binance": 1}  # what a USDT is worth was said a minute ago


def test_majors_cost_two_calls_however_many_they_are(engine: Engine, runtime: Runtime, simulator) -> None:
    majors = [TokenKey(*key) for key, token in TOKENS.items() if token.listed]

    asked = ask(runtime, *majors)

    assert calls(simulator) == {"binance": 1, "coingecko": 1}
    assert all(asked.usd(major) for major in majors)
    assert asked.outages == []


def test_a_token_with_deep_pools_costs_one_call_and_no_second_opinion(
    engine: Engine, runtime: Runtime, simulator
) -> None:
    ask(runtime, TokenKey(8453, NATIVE_TOKEN))
    calls(simulator)

    asked = ask(runtime, NIMB)

    assert calls(simulator) == {"dexscreener": 1}
    assert (asked.usd(NIMB), asked.choice(NIMB).rule) == (Decimal("1.27"), "deep_pools")
    pools = asked.choice(NIMB).depth
    assert pools is not None
    assert pools.usd is not None
    assert abs(pools.usd - 850_000) < 1


def test_a_wallet_of_thousands_of_tokens_costs_a_bounded_number_of_calls(
    engine: Engine, runtime: Runtime, simulator
) -> None:
    tokens = [TokenKey(1, f"0x{number:040x}") for number in range(1, 2001)]
    first = ask(runtime, *tokens)
    made = calls(simulator)
    assert (made["dexscreener"], made["defillama"]) == (-(-2000 // 30), MAX_ASKED // 60)
    assert made["alchemy"] <= AlchemyPrices.most_a_sync // 25
    assert first.plan.waiting == frozenset()
    age_prices(engine, timedelta(minutes=61))

    again = ask(runtime, *tokens)

    assert calls(simulator)["dexscreener"] == MAX_ASKED // 30
    assert len(again.plan.waiting) == len(tokens) - MAX_ASKED


# -- USDT


def test_a_quote_in_usdt_is_converted_by_what_a_usdt_is_worth(engine: Engine, runtime: Runtime, world: World) -> None:
    world.set_price("USDT", Decimal("0.5"))

    asked = ask(runtime, ETHER)

    assert asked.usd(ETHER) == Decimal("2500.10")  # 5000.20 USDT
    assert asked.usd(USDT_KEY) == Decimal("0.5")


def test_a_quote_in_usdt_is_not_converted_by_one_sources_wrong_price(
    engine: Engine, runtime: Runtime, world: World
) -> None:
    world.set_source_price("coingecko", world.named("USDT"), "0.5")

    asked = ask(runtime, ETHER)

    assert asked.usd(ETHER) == Decimal("2500.10")
    assert asked.usd(USDT_KEY) == 1


def test_where_nobody_says_what_a_usdt_is_worth_it_counts_as_one_and_says_so(
    engine: Engine, runtime: Runtime, simulator
) -> None:
    for provider in ("coingecko", "defillama"):
        simulator.fault("outage", provider)
    simulator.fault("outage", endpoint="prices/by-address")

    assert ask(runtime, ETHER).choice(ETHER).flags == ("usdt_at_par",)


# -- one source that fails is replaced by others, as far as needed


@pytest.mark.parametrize("fault", ["outage", "geo_block", "empty_answer", "null_answer", "zero_price", "malformed"])
def test_what_binance_does_not_say_coingecko_is_asked_for(engine: Engine, runtime: Runtime, simulator, fault) -> None:
    simulator.fault(fault, "binance")

    asked = ask(runtime, ETHER, WETH)

    assert {asked.choice(token).rule for token in (ETHER, WETH)} == {"listing"}
    assert {asked.usd(token) for token in (ETHER, WETH)} == {Decimal("2500.1")}
    assert "defillama" not in calls(simulator)


@pytest.mark.parametrize("without_alchemy", [False, True])
def test_a_native_coin_and_its_wrapped_form_have_one_price_where_no_listing_answers(
    engine: Engine, runtime: Runtime, simulator, without_alchemy: bool
) -> None:
    simulator.fault("geo_block", "binance")
    simulator.fault("rate_limit", "coingecko")
    if without_alchemy:
        simulator.fault("outage", endpoint="prices/by-address")
    natives = [TokenKey(chain_id, NATIVE_TOKEN) for chain_id in (1, 137, 10, 42161, 8453)]

    for _ in range(3):
        asked = ask(runtime, *natives, WETH)
        assert [asked.usd(native) for native in natives] == [
            Decimal(usd) for usd in ("2500.1", "0.4512", *["2500.1"] * 3)
        ]
        assert asked.usd(WETH) == asked.usd(ETHER)
        assert OLD_PRICE not in asked.choice(ETHER).flags
        age_prices(engine, timedelta(minutes=40))


def test_a_coin_that_nobody_else_prices_is_worth_what_its_deep_pools_say(
    engine: Engine, runtime: Runtime, simulator, world: World
) -> None:
    for provider, fault in (("binance", "geo_block"), ("coingecko", "rate_limit"), ("defillama", "outage")):
        simulator.fault(fault, provider)
    simulator.fault("outage", "alchemy", endpoint="prices/by-address")
    weth = world.token(*WETH)
    assert weth is not None
    world.set_pools(weth, Pool(2_000_000, quote=world.named("USDC").address))

    asked = ask(runtime, ETHER, WETH)
    ether, wrapped = asked.usd(ETHER), asked.usd(WETH)

    assert ether == wrapped
    assert ether is not None
    assert round(ether) == 2500


# -- another opinion


def open_token(world: World, **sources_say: str | None) -> SimToken:
    """A token without pools, of which sources say what they are told to."""
    token = world.add_token("OPEN", price="3")
    for source, usd in {"alchemy": "3", "defillama": None, **sources_say}.items():
        world.set_source_price(source, token, usd)
    return token


def test_a_price_that_stands_alone_is_confirmed_by_whoever_can(
    engine: Engine, runtime: Runtime, simulator, world
) -> None:
    token = open_token(world, defillama="3.1")

    asked = ask(runtime, token)

    # Who agrees may read the same pool, and nobody has measured it.
    assert (asked.choice(token).rule, asked.choice(token).flags) == ("two_agree", (UNCONFIRMED_PRICE,))
    made = calls(simulator)
    assert (made["defillama"], made["alchemy"], made["dexscreener"]) == (1, 1, 1)


def test_a_single_price_of_a_listed_token_is_contradicted_by_whoever_can(
    engine: Engine, runtime: Runtime, simulator, world: World
) -> None:
    token = open_token(world, alchemy="3000000", defillama="3")
    list_token(engine, token)

    first = ask(runtime, token)

    assert SOURCES_FAR_APART in first.choice(token).flags


@pytest.mark.parametrize("source", ["defillama", "alchemy"])
def test_a_token_without_a_price_is_asked_for_beside_many_that_have_one(
    engine: Engine, runtime: Runtime, simulator, world: World, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    other = {"defillama": "alchemy", "alchemy": "defillama"}[source]
    last = second_opinion(runtime, PriceSource(source))
    monkeypatch.setattr(type(last), "most_a_sync", 4)
    tokens = [open_token(world, **{source: None, other: "3"}) for _ in range(6)]
    alone = open_token(world, **{source: "7", other: None})
    for _ in range(4):
        asked = ask(runtime, *tokens, alone)
        age_prices(engine, SIX_MINUTES)
    assert asked.usd(alone) == 7


def test_who_has_answered_is_not_asked_again_before_it_is_due(
    engine: Engine, runtime: Runtime, simulator, world
) -> None:
    token = open_token(world)
    first = ask(runtime, token)
    assert first.choice(token).flags == ("unconfirmed_price",)
    calls(simulator)

    for _ in range(2):
        again = ask(runtime, token)
        assert (again.choice(token).flags, calls(simulator)) == (("unconfirmed_price",), {})

    age_prices(engine, SIX_MINUTES)
    ask(runtime, token)
    made = calls(simulator)
    assert (made["defillama"], made["alchemy"], made["dexscreener"]) == (1, 1, 1)


@pytest.mark.parametrize(("now", "rule"), [("37.5", "deep_pools"), ("0.2", "deep_pools")])
def test_a_jump_is_confirmed_before_it_is_refused_and_once(
    engine: Engine, runtime: Runtime, simulator, world: World, now: str, rule: str
) -> None:
    token = world.add_token("LEAP", price="2.5", pools=[Pool(2_000_000)])
    assert ask(runtime, token).usd(token) == Decimal("2.5")
    assert "defillama" not in calls(simulator)
    world.set_price(token.price or "", Decimal(now))
    age_prices(engine, SIX_MINUTES)

    asked = ask(runtime, token)

    assert (asked.usd(token), asked.choice(token).flags) == (Decimal(now), ())
    assert calls(simulator)["defillama"] == 1
    age_prices(engine, SIX_MINUTES)
    assert ask(runtime, token).choice(token).flags == ()
    assert "defillama" not in calls(simulator)


def test_a_jump_that_nobody_confirms_is_kept_out(engine: Engine, runtime: Runtime, simulator, world: World) -> None:
    token = world.add_token("LEAP", price="2.5", pools=[Pool(2_000_000)])
    ask(runtime, token)
    for source in ("alchemy", "defillama"):
        world.set_source_price(source, token, "2.5")
    world.set_source_price("dexscreener", token, "37.5")
    age_prices(engine, SIX_MINUTES)

    asked = ask(runtime, token)

    # Two that agree, and were only asked since it jumped, outvote it.
    assert (asked.usd(token), asked.choice(token).rule) == (Decimal("2.5"), "outvoted")
    for source in ("alchemy", "defillama"):
        world.set_source_price(source, token, None)
    age_prices(engine, timedelta(minutes=61))
    alone = ask(runtime, token)
    assert (alone.usd(token), alone.choice(token).flags) == (Decimal("37.5"), (PRICE_JUMP,))


@pytest.mark.parametrize(("listing", "others"), [("1", "0.000001"), ("25000", "2.5"), ("0.01", "7")])
def test_a_listing_that_is_wrong_by_far_is_outvoted_by_two_that_agree(
    engine: Engine, runtime: Runtime, world: World, listing: str, others: str
) -> None:
    token = world.add_token("MOVED", price=others, pools=[Pool(3_000_000)], coingecko_id="moved-coin")
    list_token(engine, token, "moved-coin")
    world.set_source_price("coingecko", token, listing)

    asked = ask(runtime, token)

    assert (asked.usd(token), asked.choice(token).rule) == (Decimal(others), "outvoted")
    assert asked.choice(token).flags == (SOURCES_DISAGREE,)


def test_one_against_one_is_kept_out_once_nobody_else_knows(engine: Engine, runtime: Runtime, simulator, world) -> None:
    token = world.add_token("SPLIT", price="5", pools=[Pool(3_000_000)], coingecko_id="split-coin")
    list_token(engine, token, "split-coin")
    world.set_source_price("coingecko", token, "500")
    for source in ("alchemy", "defillama"):
        world.set_source_price(source, token, None)

    asked = ask(runtime, token)

    assert asked.choice(token).flags == (SOURCES_DISAGREE, SOURCES_FAR_APART)
    assert {PriceSource.ALCHEMY, PriceSource.DEFILLAMA} <= asked.market.own_evidence(key(token)).answered.keys()


@pytest.mark.parametrize("days", [2, 45, 400])
def test_a_listing_that_nobody_updates_gives_way_or_is_kept_out(
    engine: Engine, runtime: Runtime, world: World, days: int
) -> None:
    pooled = world.add_token("DEAD", price="0.02", pools=[Pool(1_500_000)], coingecko_id="dead-coin")
    alone = world.add_token("ALONE", price="0.02", coingecko_id="alone-coin")
    for token, coin in ((pooled, "dead-coin"), (alone, "alone-coin")):
        list_token(engine, token, coin)
        world.set_source_price("coingecko", token, "30", age=timedelta(days=days))
    for source in ("alchemy", "defillama"):
        world.set_source_price(source, alone, None)

    asked = ask(runtime, pooled, alone)

    assert (asked.usd(pooled), asked.choice(pooled).flags) == (Decimal("0.02"), ())
    assert (asked.usd(alone), asked.choice(alone).flags) == (30, (OUTDATED_PRICE,))


def test_a_stablecoin_may_be_quoted_a_few_days_ago(engine: Engine, runtime: Runtime, world: World) -> None:
    for days, flags in ((5, ()), (8, (OUTDATED_PRICE,))):
        for token in (world.named("DAI"), world.named("LINK")):
            world.set_source_price("coingecko", token, "1", age=timedelta(days=days))
        for source in ("alchemy", "binance", "defillama", "dexscreener"):
            world.set_source_price(source, world.named("DAI"), None)
        age_prices(engine, SIX_MINUTES)
        assert ask(runtime, key(world.named("DAI"))).choice(key(world.named("DAI"))).flags == flags


def learned_nothing_of(asked: RoundResult, token: SimToken) -> bool:
    return key(token) not in asked.market.learned


def test_an_outage_is_told_and_changes_nothing_that_was_known(
    engine: Engine, runtime: Runtime, simulator, world
) -> None:
    token = world.add_token("CALM", price="4", pools=[Pool(900_000)])
    before = ask(runtime, token).market.own_evidence(key(token))
    for provider in ("binance", "coingecko", "defillama", "dexscreener"):
        simulator.fault("outage", provider)
    simulator.fault("outage", endpoint="prices/by-address")
    age_prices(engine, SIX_MINUTES)

    asked = ask(runtime, token)

    assert (asked.usd(token), asked.choice(token).flags) == (4, (OLD_PRICE,))
    assert learned_nothing_of(asked, token)
    assert asked.market.own_evidence(key(token)).quotes.keys() == before.quotes.keys()
    assert {outage.split()[0] for outage in asked.outages} == {
        "alchemy",
        "binance",
        "coingecko",
        "defillama",
        "dexscreener",
    }
