"""Which price a token has: every row of the table of rules, on plain examples."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from moonx_pipeline.domain.evidence import NO_EVIDENCE
from moonx_pipeline.domain.flags import (
    BLOCKING_FLAGS,
    LOW_LIQUIDITY,
    OLD_PRICE,
    OUTDATED_PRICE,
    SOURCES_DISAGREE,
    UNCONFIRMED_PRICE,
    USDT_AT_PAR,
)
from moonx_pipeline.domain.identity import UNLISTED, Identity
from moonx_pipeline.domain.price_limits import age_factor
from moonx_pipeline.domain.pricing import Choice
from moonx_pipeline_tests.support.choices import (
    A_DAY,
    A_SECOND,
    AN_HOUR,
    DOLLAR,
    MAJOR,
    NAMED,
    OLD,
    choose,
    said,
    use_of,
)
from moonx_pipeline_tests.support.examples import (
    DEEP,
    FRESH,
    LIMITS,
    NOON,
    NOW,
    THIN,
    UNKNOWN,
    depth,
    evidence,
    quote,
)

# -- too_old


@pytest.mark.parametrize("source", ["binance", "coingecko", "dexscreener", "defillama", "alchemy"])
@pytest.mark.parametrize("identity", [UNLISTED, NAMED, MAJOR], ids=["unlisted", "listed", "major"])
def test_a_quote_that_was_read_too_long_ago_is_not_used(source: str, identity: Identity) -> None:
    last = evidence(quote(source, read=LIMITS.stale_after), depth=depth())
    assert said(choose(last, identity))[0] == source
    late = choose(evidence(quote(source, read=LIMITS.stale_after + A_SECOND), depth=depth()), identity)
    assert said(late) == (None, "none", ())
    assert use_of(late) == {source: "too_old"}
    assert late.is_open


def test_a_token_that_waits_for_its_turn_keeps_an_older_price() -> None:
    known = evidence(quote("coingecko", read=23 * AN_HOUR))
    assert said(choose(known, oldest=A_DAY)) == ("coingecko", "listing", (OLD_PRICE,))
    assert said(choose(known, oldest=22 * AN_HOUR)) == (None, "none", ())


def test_a_quote_too_old_contradicts_nobody() -> None:
    known = evidence(quote("coingecko", "1"), quote("alchemy", "900", read=2 * AN_HOUR), depth=depth())
    assert said(choose(known)) == ("coingecko", "listing", ())
    assert use_of(choose(known)) == {"alchemy": "too_old", "coingecko": "chosen"}


# -- outdated


@pytest.mark.parametrize("source", ["coingecko", "defillama", "alchemy"])
def test_a_quote_that_its_own_source_dates_long_ago_is_shown_and_not_counted(source: str) -> None:
    good = evidence(quote(source, said=LIMITS.max_age), depth=depth())
    assert OUTDATED_PRICE not in choose(good).flags
    choice = choose(evidence(quote(source, said=LIMITS.max_age + A_SECOND, change="4"), depth=depth()))
    assert said(choice) == (source, "outdated", (OUTDATED_PRICE,))
    assert choice.change_24h == 4
    assert choice.is_open
    assert choice.accepted(NOON) is None


@pytest.mark.parametrize("age", [timedelta(days=90), timedelta(days=700)])
def test_an_outdated_listing_has_no_say_beside_any_other_quote(age: timedelta) -> None:
    known = evidence(quote("coingecko", "30", said=age), quote("dexscreener", "0.02"), depth=depth())
    choice = choose(known, NAMED)
    assert said(choice) == ("dexscreener", "deep_pools", ())
    assert use_of(choice) == {"coingecko": "outdated", "dexscreener": "chosen"}


def test_of_two_outdated_quotes_the_more_trusted_is_shown() -> None:
    known = evidence(quote("coingecko", "30", said=40 * A_DAY), quote("alchemy", "3", said=2 * A_DAY))
    choice = choose(known)
    assert said(choice) == ("coingecko", "outdated", (OUTDATED_PRICE,))
    assert use_of(choice) == {"coingecko": "chosen", "alchemy": "outdated"}


def test_a_stablecoins_price_may_be_a_week_old_and_no_other_majors() -> None:
    for days, identity, counts in ((7, DOLLAR, True), (8, DOLLAR, False), (2, MAJOR, False), (2, NAMED, False)):
        choice = choose(evidence(quote("coingecko", "1", said=days * A_DAY)), identity)
        assert (OUTDATED_PRICE not in choice.flags) == counts, (days, identity)


def test_a_source_that_tells_no_time_is_of_when_it_was_read() -> None:
    assert choose(evidence(quote("binance", said=None)), MAJOR).flags == ()


# -- thin


@pytest.mark.parametrize("identity", [UNLISTED, NAMED], ids=["unlisted", "listed"])
def test_dex_prices_of_a_token_with_thin_pools_are_shown_and_not_counted(identity: Identity) -> None:
    prices = [quote("dexscreener", "10"), quote("alchemy", "10"), quote("defillama", "10")]
    for several in (prices, prices[:1], prices[1:2], prices[2:]):
        choice = choose(evidence(*several, depth=depth(THIN, "60")), identity)
        source, rule, flags = said(choice)
        assert (source, rule) == (several[0].source.value if several != prices else "dexscreener", "thin_pools")
        assert LOW_LIQUIDITY in flags
        assert (UNCONFIRMED_PRICE in flags) == (identity is UNLISTED)
        assert (choice.is_open, choice.accepted(NOON)) == (False, None)


def test_thin_outlives_an_outage_of_the_source_that_found_it() -> None:
    known = evidence(quote("alchemy", "10"), depth=depth(THIN, "60", read=30 * A_DAY))
    assert said(choose(known))[1] == "thin_pools"


def test_a_listing_has_a_say_whatever_pools_hold() -> None:
    known = evidence(quote("coingecko", "2"), quote("dexscreener", "90"), depth=depth(THIN, "60"))
    choice = choose(known, NAMED)
    assert said(choice) == ("coingecko", "listing", ())
    assert use_of(choice) == {"coingecko": "chosen", "dexscreener": "refused"}


@pytest.mark.parametrize("source", ["dexscreener", "defillama", "alchemy"])
def test_a_major_needs_no_pool(source: str) -> None:
    for pools in (None, depth(THIN, "60"), depth(UNKNOWN)):
        choice = choose(evidence(quote(source), depth=pools), MAJOR)
        assert said(choice) == (source, "single_source", ())


@pytest.mark.parametrize("pools", [None, depth(UNKNOWN), depth(DEEP, read=A_DAY + A_SECOND)], ids=str)
def test_a_pool_whose_depth_is_not_known_has_no_say_and_refuses_nobody(pools) -> None:
    known = evidence(quote("dexscreener", "5"), quote("alchemy", "5"), depth=pools)
    choice = choose(known)
    assert said(choice) == ("alchemy", "single_source", (UNCONFIRMED_PRICE,))
    assert use_of(choice) == {"dexscreener": "refused", "alchemy": "chosen"}
    alone = choose(evidence(quote("dexscreener", "5"), depth=pools))
    assert said(alone) == (None, "none", ())
    assert alone.is_open


def test_an_outdated_listing_is_not_shown_before_a_price_of_thin_pools() -> None:
    known = evidence(quote("coingecko", "30", said=40 * A_DAY), quote("alchemy", "2"), depth=depth(THIN, "60"))
    choice = choose(known, NAMED)
    assert said(choice) == ("alchemy", "thin_pools", (LOW_LIQUIDITY,))
    assert use_of(choice) == {"alchemy": "chosen", "coingecko": "outdated"}


# -- trust


@pytest.mark.parametrize(
    ("identity", "order"),
    [
        (MAJOR, ["binance", "coingecko", "defillama", "alchemy", "dexscreener"]),
        (NAMED, ["binance", "coingecko", "dexscreener", "defillama", "alchemy"]),
        (UNLISTED, ["binance", "coingecko", "dexscreener", "defillama", "alchemy"]),
    ],
    ids=["major", "listed", "unlisted"],
)
def test_the_most_trusted_source_is_chosen(identity: Identity, order: list[str]) -> None:
    prices = [quote(source, str(100 + n)) for n, source in enumerate(reversed(order))]
    while order:
        choice = choose(evidence(*prices, depth=depth()), identity)
        assert said(choice)[0] == order.pop(0)
        prices.pop()


@pytest.mark.parametrize(
    ("identity", "source", "pools", "rule"),
    [
        (MAJOR, "binance", None, "listing"),
        (NAMED, "coingecko", depth(), "listing"),
        (UNLISTED, "dexscreener", depth(), "deep_pools"),
        (NAMED, "alchemy", depth(), "deep_pools"),
        (NAMED, "alchemy", None, "single_source"),
    ],
)
def test_the_rule_says_what_a_price_was_trusted_for(identity: Identity, source: str, pools, rule: str) -> None:
    assert said(choose(evidence(quote(source), depth=pools), identity)) == (source, rule, ())


def test_a_fresh_price_goes_before_an_old_one_of_the_same_rank() -> None:
    known = evidence(quote("dexscreener", "2", read=OLD), quote("alchemy", "2.1"), depth=depth())
    assert said(choose(known)) == ("alchemy", "deep_pools", ())
    known = evidence(quote("dexscreener", "2", read=FRESH), quote("alchemy", "2.1"), depth=depth())
    assert said(choose(known)) == ("dexscreener", "deep_pools", ())
    known = evidence(quote("binance", "2", read=OLD), quote("coingecko", "2.1"))
    assert said(choose(known, MAJOR)) == ("coingecko", "listing", ())


def test_a_listing_stays_before_pools_when_it_is_old() -> None:
    known = evidence(quote("coingecko", "2", read=OLD), quote("dexscreener", "2.1"), depth=depth())
    assert said(choose(known, NAMED)) == ("coingecko", "listing", (OLD_PRICE,))


def test_an_old_price_says_so_and_another_source_is_asked() -> None:
    fresh, old = (choose(evidence(quote("coingecko", read=read)), NAMED) for read in (FRESH, OLD))
    assert (fresh.flags, fresh.is_open) == ((), False)
    assert (old.flags, old.is_open) == ((OLD_PRICE,), True)
    assert OLD_PRICE not in BLOCKING_FLAGS


def test_a_price_at_par_says_so_and_counts() -> None:
    choice = choose(evidence(quote("binance", "2500", at_par=True)), MAJOR)
    assert said(choice) == ("binance", "listing", (USDT_AT_PAR,))
    assert USDT_AT_PAR not in BLOCKING_FLAGS
    beside = choose(evidence(quote("binance", "2500"), quote("coingecko", "2500", at_par=True)), MAJOR)
    assert beside.flags == ()


@pytest.mark.parametrize(("other", "agrees"), [("110", True), ("110.000001", False), ("90.91", True), ("90.9", False)])
def test_sources_that_differ_beyond_the_bound_are_told_and_the_trusted_one_counts(other: str, agrees: bool) -> None:
    choice = choose(evidence(quote("coingecko", "100"), quote("dexscreener", other), depth=depth()), NAMED)
    assert said(choice) == ("coingecko", "listing", () if agrees else (SOURCES_DISAGREE,))
    assert use_of(choice)["dexscreener"] == ("agrees" if agrees else "differs")
    assert SOURCES_DISAGREE not in BLOCKING_FLAGS
    assert not choice.is_open


def test_one_of_several_sources_that_differs_is_told() -> None:
    known = evidence(quote("coingecko", "100"), quote("dexscreener", "101"), quote("alchemy", "200"), depth=depth())
    assert said(choose(known, NAMED)) == ("coingecko", "listing", (SOURCES_DISAGREE,))


def test_the_change_is_that_of_the_most_trusted_source_that_tells_one() -> None:
    silent = quote("coingecko", "100")
    known = [quote("dexscreener", "100", change="-1.5"), quote("alchemy", "100", change="9")]
    assert choose(evidence(silent, *known, depth=depth()), NAMED).change_24h == Decimal("-1.5")
    silent = silent._replace(change_24h=Decimal(0))
    assert choose(evidence(silent, *known, depth=depth()), NAMED).change_24h == 0


def test_a_price_is_unknown_where_nobody_has_one() -> None:
    choice = choose(NO_EVIDENCE)
    assert choice == Choice(None, "none", (), None, None, (), is_open=True, is_acceptable=False)
    assert choose(evidence(asked=NOW)).quote is None


@pytest.mark.parametrize(
    ("is_priced", "worth", "factor"),
    [
        (False, None, 12),
        (False, "5", 12),
        (True, None, 1),
        (True, "0.9", 12),
        (True, "1", 3),
        (True, "99", 3),
        (True, "100", 1),
    ],
)
def test_what_is_worth_little_is_asked_for_less_often(is_priced: bool, worth: str | None, factor: int) -> None:
    assert age_factor(is_priced, None if worth is None else Decimal(worth)) == factor
