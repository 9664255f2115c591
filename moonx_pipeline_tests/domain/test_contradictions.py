"""What happens when sources contradict each other, or a price contradicts itself: the rows that decide on doubt."""

from __future__ import annotations

from datetime import timedelta

import pytest

from moonx_pipeline.domain.flags import (
    BLOCKING_FLAGS,
    OLD_PRICE,
    PRICE_JUMP,
    SOURCES_DISAGREE,
    SOURCES_FAR_APART,
    UNCONFIRMED_PRICE,
)
from moonx_pipeline.domain.identity import UNLISTED, Identity
from moonx_pipeline.domain.price_limits import REFERENCE_AGE
from moonx_pipeline_tests.support.choices import A_SECOND, AN_HOUR, DOLLAR, MAJOR, NAMED, choose, said, use_of
from moonx_pipeline_tests.support.examples import DEEP, FRESH, NOON, NOW, THIN, UNKNOWN, depth, evidence, quote

# -- outvoted


@pytest.mark.parametrize(
    ("listing", "pool", "alchemy"),
    [("1", "0.000001", "0.00000104"), ("0.3", "4.4", "4.2"), ("2500", "0.9", "0.99"), ("0.0001", "7", "7")],
)
def test_two_that_agree_outvote_a_listing_that_is_far_from_them(listing: str, pool: str, alchemy: str) -> None:
    known = evidence(
        quote("coingecko", listing), quote("dexscreener", pool), quote("alchemy", alchemy), depth=depth(DEEP)
    )
    choice = choose(known, NAMED)
    assert said(choice) == ("dexscreener", "outvoted", (SOURCES_DISAGREE,))
    assert use_of(choice) == {"coingecko": "far_apart", "dexscreener": "chosen", "alchemy": "agrees"}
    assert not choice.is_open
    assert choice.accepted(NOON)


def test_two_that_agree_outvote_a_direct_quote_of_a_major() -> None:
    known = evidence(quote("binance", "14"), quote("coingecko", "1.3"), quote("alchemy", "1.25"))
    assert said(choose(known, MAJOR)) == ("coingecko", "outvoted", (SOURCES_DISAGREE,))


def test_one_that_is_far_from_two_that_agree_does_not_move_them() -> None:
    known = evidence(quote("coingecko", "1"), quote("dexscreener", "1.02"), quote("alchemy", "70"), depth=depth())
    assert said(choose(known, NAMED)) == ("coingecko", "listing", (SOURCES_DISAGREE,))


def test_three_outvote_two() -> None:
    known = evidence(
        quote("binance", "100"),
        quote("coingecko", "101"),
        quote("dexscreener", "3"),
        quote("defillama", "3.1"),
        quote("alchemy", "3.05"),
    )
    assert said(choose(known, MAJOR)) == ("defillama", "outvoted", (SOURCES_DISAGREE,))


def test_those_who_have_no_say_have_no_vote() -> None:
    known = evidence(quote("coingecko", "1"), quote("dexscreener", "50"), quote("alchemy", "50"), depth=depth(UNKNOWN))
    assert said(choose(known, NAMED)) == ("coingecko", "listing", (SOURCES_DISAGREE, SOURCES_FAR_APART))


@pytest.mark.parametrize(
    ("others", "in_doubt"),
    [
        ({"dexscreener": "0.0001", "alchemy": "0.000101"}, True),
        ({"dexscreener": "0.0001", "alchemy": "0.000101", "defillama": "0.000099"}, True),
        ({"defillama": "0.09", "alchemy": "0.09"}, True),
        ({"dexscreener": "0.0001"}, False),  # a pool that anybody may have opened
        ({"alchemy": "0.0001"}, False),
        ({"dexscreener": "0.0001", "alchemy": "0.5"}, False),
        ({"dexscreener": "0.2", "alchemy": "0.2"}, False),
    ],
)
def test_a_listing_is_in_doubt_if_all_that_trade_in_drained_pools_say_otherwise(
    others: dict[str, str], in_doubt: bool
) -> None:
    drained = [quote(source, usd) for source, usd in others.items()]
    choice = choose(evidence(quote("coingecko", "1"), *drained, depth=depth(THIN, "150")), NAMED)
    assert said(choice) == ("coingecko", "listing", (SOURCES_FAR_APART,) if in_doubt else ())
    assert choice.is_open is in_doubt


@pytest.mark.parametrize(("usd", "jumps"), [("0.79", True), ("0.8", False), ("1.25", False), ("1.26", True)])
def test_a_dollar_is_measured_against_a_dollar_if_no_price_was_accepted(usd: str, jumps: bool) -> None:
    choice = choose(evidence(quote("coingecko", usd)), DOLLAR)
    assert (PRICE_JUMP in choice.flags, choice.is_open) == (jumps, jumps)
    assert PRICE_JUMP not in choose(evidence(quote("coingecko", usd)), NAMED).flags
    confirmed = evidence(quote("coingecko", usd), quote("defillama", usd))
    assert choose(confirmed, DOLLAR).flags == ()
    assert choose(evidence(quote("coingecko", usd), accepted=(usd, AN_HOUR)), DOLLAR).flags == ()


@pytest.mark.parametrize(("wrong", "outvoted"), [("0.5", True), ("0.79", True), ("0.85", False), ("2", True)])
def test_two_that_agree_on_a_dollar_outvote_a_listing_that_is_apart(wrong: str, outvoted: bool) -> None:
    known = evidence(quote("coingecko", wrong), quote("defillama", "1.001"), quote("alchemy", "1"))
    price = "1.001" if outvoted else wrong
    chosen = choose(known, DOLLAR)
    assert (str(chosen.quote.price_usd) if chosen.quote else None, chosen.flags) == (price, (SOURCES_DISAGREE,))
    assert said(choose(known, NAMED)) == ("coingecko", "listing", (SOURCES_DISAGREE,))


def test_a_dollar_that_lost_its_peg_counts_if_two_sources_say_so() -> None:
    lost = evidence(quote("coingecko", "0.3"), quote("alchemy", "0.29"), accepted=("1", AN_HOUR))
    assert said(choose(lost, DOLLAR)) == ("coingecko", "listing", ())
    alone = evidence(quote("coingecko", "0.3"), accepted=("1", AN_HOUR))
    assert said(choose(alone, DOLLAR)) == ("coingecko", "listing", (PRICE_JUMP,))


@pytest.mark.parametrize("identity", [NAMED, MAJOR, UNLISTED])
@pytest.mark.parametrize("source", ["defillama", "alchemy"])
def test_a_second_source_is_asked_about_a_single_ones_price(identity: Identity, source: str) -> None:
    assert choose(evidence(quote(source, "3")), identity).is_open
    other = "alchemy" if source == "defillama" else "defillama"
    both = evidence(quote(source, "3"), quote(other, "3"), depth=depth())
    assert not choose(both, identity).is_open


# -- far_apart


@pytest.mark.parametrize(("other", "apart"), [("10", False), ("10.0001", True), ("0.1", False), ("0.0999", True)])
def test_one_against_one_far_apart_is_not_counted(other: str, apart: bool) -> None:
    choice = choose(evidence(quote("coingecko", "1"), quote("dexscreener", other), depth=depth()), NAMED)
    assert choice.quote == quote("coingecko", "1")
    assert (SOURCES_FAR_APART in choice.flags) == choice.is_open == apart
    assert SOURCES_DISAGREE in choice.flags
    assert (choice.accepted(NOON) is None) == apart
    assert use_of(choice)["dexscreener"] == ("far_apart" if apart else "differs")
    assert SOURCES_FAR_APART in BLOCKING_FLAGS


def test_a_contradiction_lasts_as_long_as_the_price_that_it_is_about() -> None:
    """When both sources fail, the earlier reading must not leave the later one undisputed."""
    known = evidence(
        quote("coingecko", "50", read=timedelta(minutes=59)),
        quote("alchemy", "1", read=timedelta(minutes=61)),
        depth=depth(),
    )
    choice = choose(known, NAMED)
    assert said(choice) == ("coingecko", "listing", (OLD_PRICE, SOURCES_FAR_APART))
    assert use_of(choice)["alchemy"] == "too_old"
    two_against = evidence(
        *known.quotes.values(), quote("defillama", "1.01", read=timedelta(minutes=62)), depth=depth()
    )
    assert said(choose(two_against, NAMED)) == said(choice)
    of_pools = quote("dexscreener", "1", read=timedelta(minutes=61))
    without_depth = evidence(quote("coingecko", "50", read=timedelta(minutes=59)), of_pools)
    assert said(choose(without_depth, NAMED)) == ("coingecko", "listing", (OLD_PRICE,))
    read_again = evidence(quote("coingecko", "50"), quote("alchemy", "1", read=timedelta(minutes=61)), depth=depth())
    assert said(choose(read_again, NAMED)) == ("coingecko", "listing", ())


def test_two_against_two_far_apart_is_not_counted() -> None:
    known = evidence(
        quote("coingecko", "1"),
        quote("dexscreener", "1.1"),
        quote("defillama", "40"),
        quote("alchemy", "41"),
        depth=depth(),
    )
    assert said(choose(known, NAMED)) == ("coingecko", "listing", (SOURCES_DISAGREE, SOURCES_FAR_APART))


def test_two_that_contradict_the_first_and_each_other_do_not_outvote_it() -> None:
    known = evidence(quote("coingecko", "1"), quote("dexscreener", "30"), quote("alchemy", "900"), depth=depth())
    choice = choose(known, NAMED)
    assert said(choice) == ("coingecko", "listing", (SOURCES_DISAGREE, SOURCES_FAR_APART))


def test_two_that_are_each_far_away_agree_only_with_those_near_them() -> None:
    # 30 and 36 are both far from 1, and do not agree with each other.
    known = evidence(quote("coingecko", "1"), quote("dexscreener", "30"), quote("alchemy", "36"), depth=depth())
    assert said(choose(known, NAMED))[1:] == ("listing", (SOURCES_DISAGREE, SOURCES_FAR_APART))


# -- unconfirmed


@pytest.mark.parametrize("source", ["alchemy", "defillama"])
def test_one_price_that_nobody_confirms_is_unconfirmed(source: str) -> None:
    choice = choose(evidence(quote(source)))
    assert said(choice) == (source, "single_source", (UNCONFIRMED_PRICE,))
    assert choice.is_open
    assert choice.accepted(NOON)
    assert UNCONFIRMED_PRICE in BLOCKING_FLAGS


@pytest.mark.parametrize(
    ("identity", "known"),
    [
        (NAMED, evidence(quote("alchemy"))),
        (MAJOR, evidence(quote("alchemy"))),
        (UNLISTED, evidence(quote("coingecko"))),
        (UNLISTED, evidence(quote("alchemy"), depth=depth())),
    ],
    ids=["a list names it", "a major", "listed at its source", "deep pools"],
)
def test_a_price_that_something_else_speaks_for_needs_no_second_source(identity: Identity, known) -> None:
    assert choose(known, identity).flags == ()


@pytest.mark.parametrize("source", ["alchemy", "defillama"])
def test_a_listed_tokens_single_price_is_unconfirmed_if_no_pool_is_known(source: str) -> None:
    known = evidence(quote(source), asked=AN_HOUR)
    choice = choose(known, NAMED)
    assert said(choice) == (source, "single_source", (UNCONFIRMED_PRICE,))
    assert choice.is_open
    assert choose(known, MAJOR).flags == ()
    confirmed = evidence(quote("alchemy"), quote("defillama"), asked=AN_HOUR)
    assert choose(confirmed, NAMED).flags == ()
    assert choose(evidence(quote("coingecko"), asked=AN_HOUR), NAMED).flags == ()
    unknown = evidence(quote(source), asked=AN_HOUR, depth=depth(UNKNOWN))
    assert choose(unknown, NAMED).flags == ()


def test_two_that_agree_confirm_each_other_while_the_last_known_depth_bounds_them() -> None:
    measured = depth(read=timedelta(days=9))
    agreed = choose(evidence(quote("defillama", "1"), quote("alchemy", "1.1"), depth=measured))
    assert said(agreed) == ("defillama", "two_agree", ())
    assert not agreed.is_open
    differing = choose(evidence(quote("defillama", "1"), quote("alchemy", "1.2"), depth=measured))
    assert said(differing) == ("defillama", "single_source", (SOURCES_DISAGREE, UNCONFIRMED_PRICE))
    assert differing.is_open


@pytest.mark.parametrize(
    "pools",
    [{}, {"asked": AN_HOUR}, {"depth": depth(UNKNOWN)}],
    ids=["nobody looked", "no pool is known", "what they hold is not known"],
)
def test_two_that_agree_confirm_nothing_while_no_depth_was_ever_known(pools) -> None:
    both = evidence(quote("defillama", "1"), quote("alchemy", "1"), **pools)

    unmeasured = choose(both)
    assert said(unmeasured) == ("defillama", "two_agree", (UNCONFIRMED_PRICE,))
    assert unmeasured.is_open
    assert said(choose(both, NAMED)) == ("defillama", "two_agree", ())


# -- jump


def jump(usd: str, *, since: timedelta = AN_HOUR, before: str = "1", **others: str):
    prices = [quote("coingecko", usd), *(quote(source, price) for source, price in others.items())]
    return choose(evidence(*prices, depth=depth(), accepted=(before, since)), NAMED)


@pytest.mark.parametrize(
    ("usd", "jumps"), [("10", False), ("10.0001", True), ("12", True), ("0.1", False), ("0.0999", True)]
)
def test_a_move_beyond_the_factor_up_or_down_is_a_jump(usd: str, jumps: bool) -> None:
    choice = jump(usd)
    assert choice.quote == quote("coingecko", usd)
    assert choice.flags == ((PRICE_JUMP,) if jumps else ())
    assert choice.is_open == jumps
    assert (choice.accepted(NOON) is None) == jumps
    assert PRICE_JUMP in BLOCKING_FLAGS


def test_a_jump_that_a_second_source_confirms_is_none() -> None:
    confirmed = jump("50", dexscreener="52")
    assert (confirmed.flags, confirmed.is_open) == ((), False)
    assert confirmed.accepted(NOON) == (50, NOON)


def test_a_jump_that_the_second_source_denies_is_one() -> None:
    assert jump("50", dexscreener="20").flags == (PRICE_JUMP, SOURCES_DISAGREE)
    assert jump("50", dexscreener="1").flags == (PRICE_JUMP, SOURCES_DISAGREE, SOURCES_FAR_APART)


@pytest.mark.parametrize(("since", "jumps"), [(NOW, True), (REFERENCE_AGE, True), (REFERENCE_AGE + A_SECOND, False)])
def test_after_a_day_an_accepted_price_says_nothing_about_a_jump(since: timedelta, jumps: bool) -> None:
    assert (PRICE_JUMP in jump("50", since=since).flags) == jumps


def test_a_first_price_is_no_jump_and_one_that_comes_back_is_none() -> None:
    assert choose(evidence(quote("coingecko", "50")), NAMED).flags == ()
    assert jump("1.1").flags == ()


def test_an_old_price_is_accepted_like_any_other() -> None:
    old = choose(evidence(quote("coingecko", "5", read=FRESH + A_SECOND)), NAMED)
    assert old.accepted(NOON) == (5, NOON)
