"""Whom a sync asks for prices of which tokens."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest
from sqlalchemy import create_engine

from moonx_pipeline.domain.chains import ETHEREUM, NATIVE_TOKEN
from moonx_pipeline.domain.evidence import NO_EVIDENCE, Evidence
from moonx_pipeline.domain.market import ALWAYS_KNOWN, JUDGED_AGAIN, USDT_KEY, Known, Market
from moonx_pipeline.domain.portfolio import TokenInfo, TokenKey
from moonx_pipeline.settings import Settings
from moonx_pipeline.sync.pricing.plan import MAX_ASKED, PERSON_MAX_AGE, PricePlan, max_price_age, plan_prices
from moonx_pipeline.sync.runtime import Runtime, open_runtime
from moonx_pipeline_tests.support.examples import (
    FRESH,
    LISTED,
    NOON,
    NOW,
    THIN,
    depth,
    evidence,
    key_of,
    market_of,
    quote,
)

A_SECOND, AN_HOUR = timedelta(seconds=1), timedelta(hours=1)
DUE = FRESH + A_SECOND
ETHER, WETH, POL = TokenKey(1, NATIVE_TOKEN), TokenKey(1, ETHEREUM.wrapped_native), TokenKey(137, NATIVE_TOKEN)
USDT = Known(LISTED._replace(coingecko_id="tether"), evidence(quote("coingecko", "1")))
# The coins that pools are quoted in, with prices of now.
CALM: dict[TokenKey, Known | Evidence] = {
    **{key: evidence(quote("binance", "2500")) for key in ALWAYS_KNOWN},
    USDT_KEY: USDT,
}


def opened(**environment: str) -> Runtime:
    """Runtime that nobody asks: a plan is made without a call, and without the database."""
    return open_runtime(
        Settings.from_environment(environment), create_engine("postgresql+psycopg2://nobody@localhost:1/")
    )


@pytest.fixture(name="runtime", scope="module")
def _sources() -> Runtime:
    return opened()


def listed(coin: str | None = None, known: Evidence = NO_EVIDENCE) -> Known:
    return Known(LISTED._replace(coingecko_id=coin), known)


def plan(
    runtime: Runtime,
    known: Mapping[TokenKey, Known | Evidence],
    *,
    keys: set[TokenKey] | None = None,
    tokens: Mapping[TokenKey, TokenInfo] | None = None,
    **more,
) -> PricePlan:
    market = market_of({**CALM, **known})
    return plan_prices(
        keys or set(known), market, runtime.policy, has_coingecko_key=has_key(runtime), tokens=tokens or {}, **more
    )


def has_key(runtime: Runtime) -> bool:
    return runtime.providers.coingecko.has_key


def nothing(of: PricePlan) -> bool:
    return not of.asked and not of.waiting


def test_what_is_fresh_is_asked_of_nobody(runtime: Runtime) -> None:
    fresh = {
        ETHER: evidence(quote("binance", "2500", read=FRESH)),
        key_of(1): listed("some-coin", evidence(quote("coingecko", read=FRESH), asked=FRESH)),
        key_of(2): evidence(asked=12 * FRESH),  # nobody ever had a price of it
        key_of(3): evidence(quote("dexscreener", read=FRESH), depth=depth(THIN, "5")),
    }
    assert nothing(plan(runtime, fresh))


def test_each_source_is_asked_by_the_age_of_its_own_last_answer(runtime: Runtime) -> None:
    tokens = {
        key_of(1): listed("some-coin", evidence(quote("coingecko", read=DUE), asked=NOW)),
        key_of(2): listed("some-coin", evidence(quote("coingecko", read=NOW), asked=DUE)),
        key_of(3): evidence(quote("alchemy", read=DUE), asked=DUE),
        WETH: evidence(quote("binance", "2500", read=DUE)),
    }
    made = plan(runtime, tokens)
    assert (made.binance, made.coins, made.pools) == ({WETH}, {key_of(1)}, {key_of(2), key_of(3)})
    assert made.waiting == made.contracts == frozenset()


def test_majors_with_a_pair_are_asked_at_binance_others_by_id_and_none_for_pools(runtime: Runtime) -> None:
    majors = {
        ETHER: NO_EVIDENCE,
        POL: NO_EVIDENCE,
        key_of(1): listed("chainlink"),
        key_of(2): listed("staked-ether"),
        key_of(3): listed("usd-coin"),
        key_of(4): listed("bridged-usd-coin-base"),
        key_of(5, 137): listed("weth"),
    }
    made = plan(runtime, majors)
    assert made.binance == {ETHER, POL, key_of(1), key_of(3), key_of(5, 137)}
    assert made.coins == {key_of(2), key_of(4)}
    assert made.pools == made.contracts == frozenset()


def test_a_listing_that_failed_is_asked_again_though_no_pool_is_due() -> None:
    runtime = opened(COINGECKO_API_KEY="key")
    known = {key_of(1): evidence(asked=A_SECOND), key_of(2): listed("coin", evidence(asked=A_SECOND))}
    made = plan(runtime, known)
    assert (made.contracts, made.coins, made.pools) == ({key_of(1)}, {key_of(2)}, set())
    without_key = plan(opened(), known)
    assert (without_key.contracts, without_key.coins) == (set(), {key_of(2)})


def test_a_listed_token_is_asked_for_by_its_id_and_for_its_pools(runtime: Runtime) -> None:
    made = plan(runtime, {key_of(1): listed("some-coin"), key_of(2): listed(None), key_of(3): NO_EVIDENCE})
    assert made.coins == {key_of(1)}
    assert made.pools == {key_of(1), key_of(2), key_of(3)}
    assert made.contracts == frozenset()


def test_contracts_are_asked_for_at_coingecko_by_those_who_have_a_key() -> None:
    made = plan(
        opened(COINGECKO_API_KEY="k"), {key_of(1): listed("some-coin"), key_of(2): NO_EVIDENCE, ETHER: NO_EVIDENCE}
    )
    assert (made.coins, made.contracts) == ({key_of(1)}, {key_of(2)})


def test_the_native_coin_is_asked_for_where_pools_are_and_its_price_is_not_fresh(runtime: Runtime) -> None:
    old = {ETHER: evidence(quote("binance", read=DUE)), WETH: evidence(quote("binance", read=DUE))}
    others = {key: evidence(quote("binance", read=DUE)) for key in ALWAYS_KNOWN - {USDT_KEY}}
    assert plan(runtime, {key_of(1): NO_EVIDENCE}).binance == frozenset()
    assert plan(runtime, {**others, **old, key_of(1): NO_EVIDENCE}, keys={key_of(1)}).binance == {ETHER}


def test_usdt_is_asked_for_where_binance_is_and_its_price_is_not_fresh(runtime: Runtime) -> None:
    stale = listed("tether", evidence(quote("coingecko", "1", read=DUE)))
    assert plan(runtime, {key_of(1): listed("chainlink")}).coins == frozenset()
    made = plan(runtime, {key_of(1): listed("chainlink"), USDT_KEY: stale}, keys={key_of(1)})
    assert (made.binance, made.coins) == ({key_of(1)}, {USDT_KEY})


@pytest.mark.parametrize(
    ("trigger", "age"),
    [
        ("manual", PERSON_MAX_AGE),
        ("login", PERSON_MAX_AGE),
        ("schedule", FRESH),
        ("webhook", FRESH),
        ("backfill", FRESH),
    ],
)
def test_a_person_gets_prices_read_anew(runtime: Runtime, trigger: str, age: timedelta) -> None:
    assert max_price_age(runtime.policy, trigger) == age
    known = {
        **{key: Known() for key in ALWAYS_KNOWN},
        ETHER: Known(None, evidence(quote("binance", read=age + A_SECOND))),
    }
    market = Market(known, now=NOON, limits=runtime.policy.price_limits, fresh_for=age, old_after=FRESH)
    assert ETHER in plan_prices({ETHER}, market, runtime.policy, has_coingecko_key=has_key(runtime), tokens={}).binance


# -- turns


def test_first_looks_go_to_what_is_listed_then_to_what_has_a_price(runtime: Runtime) -> None:
    most = runtime.policy.first_looks
    crowd = {key_of(number): NO_EVIDENCE for number in range(1000, 1000 + most)}
    made = plan(runtime, {**crowd, key_of(2): NO_EVIDENCE, key_of(9000): listed()}, quoted={key_of(8999)})
    assert len(made.pools) == most
    assert {key_of(9000), key_of(2)} <= made.pools
    assert made.waiting == (crowd.keys() | {key_of(2), key_of(9000)}) - made.pools
    made = plan(runtime, {**crowd, key_of(999_999): NO_EVIDENCE}, quoted={key_of(999_999)})
    assert key_of(999_999) in made.pools


def crowd_of(number: int, age: timedelta = 2 * FRESH) -> dict[TokenKey, Evidence]:
    return {key_of(n): evidence(quote("dexscreener", read=age), depth=depth(read=age)) for n in range(1, number + 1)}


@pytest.mark.parametrize("syncs", [1, 3])
def test_as_many_are_asked_again_as_a_sync_may_and_the_rest_waits(runtime: Runtime, syncs: int) -> None:
    crowd = crowd_of(MAX_ASKED * syncs + 40)
    made = plan(runtime, crowd, syncs=syncs)
    assert len(made.pools) == MAX_ASKED * syncs
    assert made.waiting == crowd.keys() - made.pools


def test_the_longest_overdue_come_first_by_how_old_each_may_be(runtime: Runtime) -> None:
    crowd = crowd_of(MAX_ASKED)
    longer = {key_of(9000): evidence(quote("alchemy", read=3 * FRESH), asked=3 * FRESH)}
    unpriced = {key_of(9001): evidence(asked=25 * FRESH), key_of(9002): evidence(asked=23 * FRESH)}
    made = plan(runtime, {**crowd, **longer, **unpriced})
    assert {key_of(9000), key_of(9001)} <= made.pools
    assert key_of(9002) in made.waiting


def test_every_token_of_a_large_wallet_has_its_turn(runtime: Runtime) -> None:
    known: dict[TokenKey, Evidence] = crowd_of(3 * MAX_ASKED + 5)
    seen: set[TokenKey] = set()
    for _ in range(4):
        made = plan(runtime, known)
        seen |= made.pools
        known |= {key: evidence(quote("dexscreener"), depth=depth()) for key in made.pools}
        known = {
            key: what._replace(answered={source: at - A_SECOND for source, at in what.answered.items()})
            for key, what in known.items()
        }
    assert seen == known.keys()


def test_majors_are_not_crowded_out(runtime: Runtime) -> None:
    majors = {key_of(9000): listed("staked-ether"), key_of(9001): listed("chainlink")}
    made = plan(runtime, {**crowd_of(MAX_ASKED + 10), **majors})
    assert (made.coins, made.binance) == ({key_of(9000)}, {key_of(9001)})


# -- spam

FORGED = TokenInfo("USDC", "USD Coin", 6)
PLAIN = TokenInfo("TKN", "Token", 6)


def test_a_suspected_token_is_asked_for_before_it_is_judged(runtime: Runtime) -> None:
    assert plan(runtime, {key_of(1): NO_EVIDENCE}, tokens={key_of(1): FORGED}).pools == {key_of(1)}


@pytest.mark.parametrize(
    ("info", "known", "asked"),
    [
        (FORGED, evidence(asked=JUDGED_AGAIN), False),
        (FORGED, evidence(asked=JUDGED_AGAIN + A_SECOND), True),
        (FORGED, evidence(quote("alchemy", read=AN_HOUR), depth=depth(THIN, "5", read=AN_HOUR)), False),
        (PLAIN, evidence(quote("alchemy", read=AN_HOUR), depth=depth(THIN, "5", read=AN_HOUR)), True),
        (PLAIN, evidence(asked=2 * AN_HOUR), True),
        (None, evidence(asked=2 * AN_HOUR), True),
        (FORGED, listed(None, evidence(asked=2 * AN_HOUR)), True),
        (FORGED, evidence(quote("dexscreener", read=AN_HOUR), depth=depth(read=AN_HOUR)), True),
        (FORGED, evidence(quote("alchemy", read=DUE), asked=DUE), True),
    ],
    ids=["spam", "spam of yesterday", "thin spam", "thin", "unpriced", "without a name", "listed", "deep", "priced"],
)
def test_spam_rests_for_a_day_and_nothing_else_does(runtime: Runtime, info, known, asked: bool) -> None:
    made = plan(runtime, {key_of(1): known}, tokens={key_of(1): info} if info else {})
    assert made.pools == ({key_of(1)} if asked else set())
    assert made.waiting == frozenset()
