"""Prices that follow from identities and evidence, whoever holds what."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from moonx_pipeline.domain.chains import ETHEREUM, KNOWN_CHAINS, NATIVE_TOKEN, ZERO_ADDRESS
from moonx_pipeline.domain.evidence import NO_EVIDENCE, Evidence, found
from moonx_pipeline.domain.flags import OLD_PRICE
from moonx_pipeline.domain.market import ALWAYS_KNOWN, USDT_KEY, WAITS_AT_MOST, Known
from moonx_pipeline.domain.portfolio import TokenKey
from moonx_pipeline.domain.quotes import PriceSource, Quote
from moonx_pipeline_tests.support.choices import A_DAY, A_SECOND, AN_HOUR, OLD
from moonx_pipeline_tests.support.examples import (
    FRESH,
    LISTED,
    NOON,
    NOW,
    THIN,
    UNKNOWN,
    depth,
    evidence,
    key_of,
    market_of,
    quote,
)

ETHER, WETH = TokenKey(1, NATIVE_TOKEN), TokenKey(1, ETHEREUM.wrapped_native)
BASE_ETHER, BASE_WETH = TokenKey(8453, NATIVE_TOKEN), TokenKey(8453, "0x4200000000000000000000000000000000000006")
POL = TokenKey(137, NATIVE_TOKEN)
BRIDGED_WETH = TokenKey(137, "0x7ceb23fd6bc0add59e62ac25578270cff1b9f619")
MINE = key_of()


def listed(known: Evidence = NO_EVIDENCE, coingecko_id: str | None = None) -> Known:
    return Known(LISTED._replace(coingecko_id=coingecko_id), known)


def usd(market, key: TokenKey) -> Decimal | None:
    chosen = market.choice(key).quote
    return chosen.price_usd if chosen else None


# -- one coin


@pytest.mark.parametrize("source", ["binance", "coingecko", "defillama", "alchemy"])
@pytest.mark.parametrize("said_of", [ETHER, WETH, BASE_ETHER, BASE_WETH, BRIDGED_WETH], ids=str)
def test_a_native_coin_its_wrapped_form_and_its_listings_price_each_other(source: str, said_of: TokenKey) -> None:
    known = {key: Known() for key in ALWAYS_KNOWN} | {BRIDGED_WETH: listed(coingecko_id="weth")}
    known[said_of] = known[said_of]._replace(evidence=evidence(quote(source, "2500")))
    market = market_of(known)
    for key in (ETHER, WETH, BASE_ETHER, BASE_WETH, BRIDGED_WETH):
        assert usd(market, key) == 2500, key
    assert usd(market, POL) is None
    assert market.own_evidence(ETHER) == known[ETHER].evidence


def test_a_coin_of_one_name_on_another_chain_and_a_token_like_it_are_not_the_coin() -> None:
    market = market_of({ETHER: evidence(quote("binance", "2500")), POL: NO_EVIDENCE, MINE: Known(LISTED)})
    assert usd(market, POL) is None
    assert usd(market, MINE) is None


def test_sources_that_speak_of_different_forms_of_a_coin_confirm_each_other() -> None:
    market = market_of(
        {
            ETHER: evidence(quote("coingecko", "90"), accepted=("2500", AN_HOUR)),
            WETH: evidence(quote("alchemy", "2500")),
            BASE_WETH: evidence(quote("defillama", "2501")),
        }
    )
    assert market.choice(ETHER).rule == "outvoted"
    assert usd(market, ETHER) == 2501


def test_of_prices_of_one_source_and_time_the_same_one_is_lent_every_time() -> None:
    known = {
        WETH: evidence(quote("alchemy", "2500")),
        BASE_WETH: evidence(quote("alchemy", "2400")),
        TokenKey(10, BASE_WETH.address): evidence(quote("alchemy", "2300")),
        TokenKey(42161, KNOWN_CHAINS[3].wrapped_native): evidence(quote("alchemy", "2200")),
    }
    lent = {
        usd(market_of({key: known[key] for key in order} | {ETHER: NO_EVIDENCE}), ETHER) for order in _orders(known)
    }
    assert lent == {Decimal(2500)}  # of its own chain's form


def test_a_poisoned_pool_of_one_form_of_a_coin_prices_none_of_them() -> None:
    known = {key: evidence(quote("alchemy", "2000", read=A_SECOND)) for key in (ETHER, BASE_ETHER)}
    market = market_of({**known, BRIDGED_WETH: listed(evidence(quote("alchemy", "1000000")), "weth")})
    assert {usd(market, key) for key in (ETHER, BASE_ETHER, BRIDGED_WETH)} == {Decimal(2000)}


def _orders(known: dict[TokenKey, Evidence]) -> list[list[TokenKey]]:
    keys = list(known)
    return [keys[n:] + keys[:n] for n in range(len(keys))] + [keys[::-1]]


def test_what_is_learned_of_one_form_prices_the_others_at_once() -> None:
    market = market_of({ETHER: NO_EVIDENCE, WETH: NO_EVIDENCE})
    assert usd(market, ETHER) is None
    market.learn(WETH, found(PriceSource.ALCHEMY, NOON, quote("alchemy", "2500")))
    assert usd(market, ETHER) == 2500
    assert market.learned.keys() == {WETH}


# -- trusted as the other side of a pool

DEEP_PRICE = evidence(quote("dexscreener", "7"), depth=depth())


@pytest.mark.parametrize(
    ("what", "trusted"),
    [
        (listed(DEEP_PRICE), "7"),
        (Known(None, evidence(quote("coingecko", "7"), depth=depth())), "7"),  # priced by its contract: listed
        (Known(None, DEEP_PRICE), None),
        (listed(evidence(quote("coingecko", "7"))), None),
        (listed(evidence(quote("coingecko", "7"), depth=depth(THIN, "50"))), None),
        (listed(evidence(quote("coingecko", "7"), depth=depth(UNKNOWN))), None),
        (listed(evidence(quote("coingecko", "7"), depth=depth(read=A_DAY + A_SECOND))), None),
        (listed(evidence(depth=depth())), None),
        # Not where the price itself is in doubt.
        (listed(evidence(quote("coingecko", "7"), quote("dexscreener", "99"), depth=depth())), None),
        (listed(evidence(quote("dexscreener", "7"), depth=depth(), accepted=("0.5", AN_HOUR))), None),
        (listed(evidence(quote("coingecko", "7", said=2 * A_DAY), depth=depth())), None),
        # Majors need no pool, and dollars no price.
        (listed(evidence(quote("coingecko", "7")), "chainlink"), "7"),
        (listed(NO_EVIDENCE, "chainlink"), None),
        (listed(NO_EVIDENCE, "usd-coin"), "1"),
        (listed(evidence(quote("coingecko", "0.93")), "usd-coin"), "0.93"),
        (listed(NO_EVIDENCE, "some-coin"), None),
    ],
)
def test_trusted_is_a_major_or_what_is_listed_and_deep(what: Known, trusted: str | None) -> None:
    price = market_of({MINE: what}).trusted_price(MINE)
    assert price == (None if trusted is None else Decimal(trusted))


def test_a_pool_may_be_quoted_in_any_trusted_token_or_in_the_native_coin_itself() -> None:
    market = market_of({ETHER: evidence(quote("binance", "2500"), depth=depth()), MINE: listed(DEEP_PRICE)})
    asked = {ZERO_ADDRESS, NATIVE_TOKEN, WETH.address, MINE.address, key_of(2).address}
    assert market.trusted_sides(1, asked) == {
        **dict.fromkeys((ZERO_ADDRESS, NATIVE_TOKEN, WETH.address), (Decimal(2500), None)),
        MINE.address: (Decimal(7), DEEP_PRICE.depth.usd),
    }
    assert market.trusted_sides(137, asked) == {}


@pytest.mark.parametrize(
    ("said", "rate"),
    [
        ([quote("coingecko", "0.9987")], "0.9987"),
        ([quote("coingecko", "0.81")], "0.81"),
        ([quote("coingecko", "0.5")], None),
        ([quote("coingecko", "0.001")], None),
        ([quote("coingecko", "1000")], None),
        ([quote("coingecko", "0.05"), quote("defillama", "0.051")], "0.05"),
        ([quote("coingecko", "0.05"), quote("defillama", "1")], None),
        ([], None),
    ],
)
def test_what_binance_quotes_is_not_converted_at_a_rate_in_doubt(said: list[Quote], rate: str | None) -> None:
    market = market_of({USDT_KEY: listed(evidence(*said), "tether")})
    assert market.usdt_rate() == (None if rate is None else Decimal(rate))


# -- listed, deep, asked for


def test_listed_is_what_a_list_names_or_coingecko_prices_by_contract() -> None:
    market = market_of({key_of(1): Known(LISTED), key_of(2): evidence(quote("coingecko")), key_of(3): DEEP_PRICE})
    assert [market.is_listed(key_of(n)) for n in (1, 2, 3, 4)] == [True, True, False, False]
    assert market.is_listed(ETHER)


def test_deep_is_what_is_believed_to_be() -> None:
    known = [depth(), depth(THIN, "5"), depth(UNKNOWN), depth(read=A_DAY + A_SECOND), None]
    market = market_of({key_of(n): evidence(depth=what) for n, what in enumerate(known)})
    assert [market.is_deep(key_of(n)) for n in range(5)] == [True, False, False, False, False]


def test_asked_for_is_what_the_source_that_knows_pools_answered_about() -> None:
    market = market_of({key_of(1): evidence(asked=30 * A_DAY), key_of(2): evidence(quote("alchemy"))})
    assert [market.was_asked_for(key_of(n)) for n in (1, 2, 3)] == [True, False, False]


# -- how old a price may be


@pytest.mark.parametrize(
    ("known", "worth", "times"),
    [
        (Known(None, NO_EVIDENCE), None, 12),
        (Known(None, evidence(quote("alchemy"))), None, 1),
        (Known(None, evidence(quote("alchemy"))), "0.5", 12),
        (Known(None, evidence(quote("alchemy"))), "50", 3),
        (Known(None, evidence(quote("alchemy"))), "500", 1),
        (listed(NO_EVIDENCE, "chainlink"), None, 1),
        (listed(evidence(quote("coingecko")), "chainlink"), "0.5", 1),
    ],
)
def test_what_is_worth_little_is_asked_for_less_often_and_majors_always(known, worth: str | None, times: int) -> None:
    market = market_of({MINE: known._replace(evidence=known.evidence._replace(answered={}))})
    market.weigh({} if worth is None else {MINE: Decimal(worth)})
    assert market.price_age(MINE) == FRESH * times
    assert market.is_due(MINE, PriceSource.DEXSCREENER)
    market.learn(MINE, found(PriceSource.DEXSCREENER, NOON - FRESH * times))
    assert not market.is_due(MINE, PriceSource.DEXSCREENER)
    assert market.is_due(MINE, PriceSource.ALCHEMY)
    late = market_of({MINE: market.own_evidence(MINE)}, now=NOON + A_SECOND)
    late.weigh({} if worth is None else {MINE: Decimal(worth)})
    assert late.overdue(MINE, PriceSource.DEXSCREENER) > 1 or known.listing


def test_a_price_that_hardly_matters_is_old_later() -> None:
    market = market_of({MINE: evidence(quote("coingecko", read=3 * FRESH))})
    assert market.choice(MINE).flags == (OLD_PRICE,)
    market.weigh({MINE: Decimal(50)})
    assert market.choice(MINE).flags == ()


def test_a_token_that_waits_for_its_turn_keeps_its_price_for_a_day() -> None:
    known = {key_of(n): evidence(quote("alchemy", read=WAITS_AT_MOST), depth=depth()) for n in (1, 2)}
    known[key_of(3)] = evidence(quote("alchemy", read=WAITS_AT_MOST + A_SECOND), depth=depth())
    market = market_of(known)
    market.waiting = frozenset({key_of(1), key_of(3)})
    assert [usd(market, key_of(n)) for n in (1, 2, 3)] == [Decimal("1.5"), None, None]


def test_whether_there_is_a_price_of_some_age() -> None:
    market = market_of({MINE: evidence(quote("coingecko", read=FRESH)), key_of(2): NO_EVIDENCE})
    assert market.has_price_of(MINE, FRESH)
    assert not market.has_price_of(MINE, FRESH - A_SECOND)
    assert not market.has_price_of(key_of(2), A_DAY)


def test_what_a_usdt_is_worth_is_what_was_said_lately() -> None:
    usdt = LISTED._replace(coingecko_id="tether")
    assert market_of({USDT_KEY: Known(usdt)}).usdt_rate() is None
    assert market_of({USDT_KEY: Known(usdt, evidence(quote("coingecko", "0.98")))}).usdt_rate() == Decimal("0.98")
    assert (
        market_of({USDT_KEY: Known(usdt, evidence(quote("coingecko", "0.98", read=2 * AN_HOUR)))}).usdt_rate() is None
    )


# -- the last accepted price


def accepted_after(known: Evidence) -> tuple[Decimal, timedelta] | None:
    """The accepted price and its age, after a price was accepted; what is learned is what is to be stored."""
    market = market_of({MINE: known})
    market.accept(MINE)
    before = market.own_evidence(MINE).accepted
    assert (MINE in market.learned) == (before != known.accepted)
    return (before.price_usd, NOON - before.at) if before else None


def test_a_price_beyond_doubt_is_accepted() -> None:
    assert accepted_after(evidence(quote("coingecko", "5"))) == (5, NOW)
    assert accepted_after(NO_EVIDENCE) is None
    assert accepted_after(evidence(quote("coingecko", "5", said=2 * A_DAY))) is None
    assert accepted_after(evidence(quote("alchemy", "5"), depth=depth(THIN, "3"))) is None


def test_a_jump_is_not_accepted_before_the_day_is_over() -> None:
    assert accepted_after(evidence(quote("coingecko", "50"), accepted=("1", AN_HOUR))) == (1, AN_HOUR)
    assert accepted_after(evidence(quote("coingecko", "50"), accepted=("1", A_DAY + A_SECOND))) == (50, NOW)


@pytest.mark.parametrize(
    ("usd", "since", "is_news"),
    [("1.1", AN_HOUR, False), ("1.11", A_SECOND, True), ("0.9", A_SECOND, True), ("1", AN_HOUR + A_SECOND, True)],
)
def test_a_price_that_hardly_moved_is_not_accepted_anew_within_the_hour(usd: str, since, is_news: bool) -> None:
    expected = (Decimal(usd), NOW) if is_news else (1, since)
    assert accepted_after(evidence(quote("coingecko", usd), accepted=("1", since))) == expected


def test_tokens_that_were_read_later_are_taken_in() -> None:
    market = market_of({})
    assert not market.knows(MINE)
    assert usd(market, MINE) is None
    market.take_in({MINE: listed(DEEP_PRICE), WETH: Known(None, evidence(quote("alchemy", "2500")))})
    assert market.knows(MINE)
    assert (usd(market, MINE), usd(market, ETHER)) == (7, 2500)
    assert market.learned == {}


def test_an_old_price_of_a_form_that_nobody_holds_serves_until_it_is_too_old() -> None:
    market = market_of({ETHER: NO_EVIDENCE, WETH: evidence(quote("alchemy", "2500", read=OLD))})
    assert market.choice(ETHER).flags == (OLD_PRICE,)


@pytest.mark.parametrize(
    ("pools", "asked", "was_deep"),
    [
        (depth(), NOW, True),
        (depth(read=9 * A_DAY), 9 * A_DAY, True),  # nobody answered since
        (depth(read=2 * A_DAY), A_DAY, True),
        (depth(read=2 * A_DAY), A_DAY - A_SECOND, False),  # asked again for a day, it has no pools any more
        (depth(THIN, "3", read=9 * A_DAY), 9 * A_DAY, False),
        (depth(UNKNOWN), NOW, False),
        (None, NOW, False),
        (None, None, False),
    ],
)
def test_what_was_deep_by_the_last_answer_outlives_an_outage(pools, asked: timedelta | None, was_deep: bool) -> None:
    assert market_of({MINE: evidence(depth=pools, asked=asked)}).was_deep(MINE) == was_deep
