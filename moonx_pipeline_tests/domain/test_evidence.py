"""What is known of a token grows, and no failed or empty answer takes anything away."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonx_pipeline.domain.evidence import (
    DEPTH_LIFE,
    NO_EVIDENCE,
    Accepted,
    DepthState,
    Evidence,
    found,
    merge,
    with_quotes_of,
)
from moonx_pipeline.domain.quotes import PriceSource, Quote
from moonx_pipeline_tests.support.examples import (
    DEEP,
    NOON,
    NOW,
    THIN,
    UNKNOWN,
    depth,
    evidence,
    evidences,
    quote,
)

A_SECOND, AN_HOUR, A_DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)


@given(evidences)
def test_the_same_twice_is_the_same(known: Evidence) -> None:
    assert merge(known, known) == known
    assert merge(known, NO_EVIDENCE) == merge(NO_EVIDENCE, known) == known


@given(evidences, evidences)
def test_of_each_datum_the_latest_stays(one: Evidence, other: Evidence) -> None:
    merged = merge(one, other)
    for source in PriceSource:
        quotes = [part.quotes[source] for part in (one, other) if source in part.quotes]
        times = [part.answered[source] for part in (one, other) if source in part.answered]
        assert (source in merged.quotes, source in merged.answered) == (bool(quotes), bool(times))
        if quotes:
            assert merged.quotes[source] in quotes
            assert merged.quotes[source].read_at == max(quote.read_at for quote in quotes)
        if times:
            assert merged.answered[source] == max(times)
    accepted = [part.accepted for part in (one, other) if part.accepted]
    assert (merged.accepted is None) == (not accepted)
    if merged.accepted:
        assert merged.accepted in accepted
        assert merged.accepted.at == max(one.at for one in accepted)


def _earlier(part: Evidence, by: timedelta) -> dict[PriceSource, Quote]:
    return {source: said._replace(read_at=said.read_at - by) for source, said in part.quotes.items()}


@given(st.lists(evidences, min_size=2, max_size=4), st.data())
def test_the_order_in_which_answers_come_does_not_matter(parts: list[Evidence], data: st.DataObject) -> None:
    # Two quotes of one source and one time would be two answers to one question.
    apart = [part._replace(quotes=_earlier(part, timedelta(seconds=n))) for n, part in enumerate(parts)]
    merged = reduce(merge, apart)
    again = reduce(merge, data.draw(st.permutations(apart)))
    assert (again.quotes, again.answered) == (merged.quotes, merged.answered)


@given(evidences, st.sampled_from(PriceSource))
def test_an_answer_without_a_price_erases_nothing(known: Evidence, source: PriceSource) -> None:
    merged = merge(known, found(source, NOON))
    assert merged == known._replace(answered={**known.answered, source: NOON})


def test_of_two_quotes_of_one_time_the_new_one_stays() -> None:
    known, new = evidence(quote("alchemy", "1")), evidence(quote("alchemy", "2"))
    assert merge(known, new).quotes == new.quotes
    accepted = Evidence({}, {}, None, Accepted(Decimal(1), NOON))
    assert merge(accepted, accepted._replace(accepted=Accepted(Decimal(2), NOON))).accepted == (Decimal(2), NOON)


def test_a_late_answer_does_not_replace_what_was_read_after_it() -> None:
    known = evidence(quote("coingecko", "7"), depth=depth(THIN, "40"), accepted=("7", NOW))
    late = evidence(quote("coingecko", "3", read=AN_HOUR), depth=depth(DEEP, read=AN_HOUR), accepted=("3", AN_HOUR))
    assert merge(known, late) == known


@pytest.mark.parametrize(
    ("before", "after", "stays"),
    [
        (depth(DEEP, read=AN_HOUR), depth(THIN, "3"), THIN),
        (depth(THIN, "3", read=AN_HOUR), depth(DEEP), DEEP),
        (depth(UNKNOWN, read=AN_HOUR), depth(THIN, "3"), THIN),
        # What is not known replaces nothing that is, however old.
        (depth(DEEP, read=AN_HOUR), depth(UNKNOWN), DEEP),
        (depth(DEEP, read=30 * A_DAY), depth(UNKNOWN), DEEP),
        (depth(THIN, "3", read=AN_HOUR), depth(UNKNOWN), THIN),
        (depth(THIN, "3", read=30 * A_DAY), depth(UNKNOWN), THIN),
        (depth(UNKNOWN, read=AN_HOUR), depth(UNKNOWN), UNKNOWN),
    ],
)
def test_a_depth_that_is_known_is_not_replaced_by_one_that_is_not(before, after, stays) -> None:
    merged = merge(evidence(depth=before), evidence(depth=after)).depth
    assert merged is not None
    assert merged.state is stays
    assert merge(evidence(depth=after), evidence(depth=before)).depth == merged
    assert merged in (before, after)


def test_an_unknown_depth_is_no_measure() -> None:
    assert [evidence(depth=known).is_measured for known in (None, depth(UNKNOWN), depth(THIN), depth(DEEP))] == [
        False,
        False,
        True,
        True,
    ]


def test_a_later_depth_of_the_same_kind_is_news() -> None:
    assert merge(evidence(depth=depth(THIN, "3")), evidence(depth=depth(THIN, "4"))).depth == depth(THIN, "4")
    for state in DepthState:
        later = depth(state, "20000")
        assert merge(evidence(depth=depth(state, "30000", read=AN_HOUR)), evidence(depth=later)).depth == later


@pytest.mark.parametrize(
    ("state", "age", "believed"),
    [
        (DEEP, DEPTH_LIFE, True),
        (DEEP, DEPTH_LIFE + timedelta(seconds=1), False),
        (UNKNOWN, DEPTH_LIFE, True),
        (UNKNOWN, DEPTH_LIFE + timedelta(seconds=1), False),
        (THIN, DEPTH_LIFE + timedelta(seconds=1), True),
        (THIN, timedelta(days=400), True),
    ],
)
def test_a_thin_depth_outlives_every_outage_and_another_a_day(
    state: DepthState, age: timedelta, believed: bool
) -> None:
    known = evidence(depth=depth(state, read=age))
    assert known.depth_now(NOON) == (known.depth if believed else None)


def test_a_token_of_which_nothing_is_known_has_no_depth() -> None:
    assert NO_EVIDENCE.depth_now(NOON) is None


def test_tokens_that_are_worth_the_same_lend_each_other_quotes_and_nothing_else() -> None:
    own = evidence(quote("alchemy", "1"), depth=depth(THIN, "3"), accepted=("1", NOW))
    other = evidence(quote("alchemy", "2", read=AN_HOUR), quote("binance", "2"), depth=depth(DEEP), accepted=("2", NOW))
    assert with_quotes_of(own, [other]) == own._replace(
        quotes={**own.quotes, PriceSource.BINANCE: quote("binance", "2")}
    )


def test_of_two_quotes_of_one_time_a_tokens_own_goes_before_one_that_is_lent() -> None:
    own, other = evidence(quote("coingecko", "2000.1")), evidence(quote("coingecko", "1999.9"))
    assert with_quotes_of(own, [other, other]).quotes == own.quotes
    later = evidence(quote("coingecko", "1999.9", read=-AN_HOUR))
    assert with_quotes_of(own, [later]).quotes == later.quotes


@pytest.mark.parametrize("poisoned", ["1000000", "4000.1", "999.4"])
def test_a_price_far_from_those_of_the_same_source_is_not_lent(poisoned: str) -> None:
    others = [evidence(quote("alchemy", usd, read=A_SECOND)) for usd in ("2000", "2001", "1999")]
    worse = evidence(quote("alchemy", poisoned), quote("binance", "2002"))
    for parts in ([worse, *others], [*others, worse]):
        lent = with_quotes_of(NO_EVIDENCE, parts).quotes
        assert lent[PriceSource.ALCHEMY].price_usd in {2000, 2001, 1999}
        assert lent[PriceSource.BINANCE].price_usd == 2002
    assert with_quotes_of(worse, others).quotes[PriceSource.ALCHEMY].price_usd != Decimal(poisoned)


def test_of_two_prices_of_one_source_far_apart_the_higher_is_not_lent() -> None:
    own, other = evidence(quote("alchemy", "1000000")), evidence(quote("alchemy", "2000", read=AN_HOUR))
    assert with_quotes_of(own, [other]).quotes == other.quotes
    assert with_quotes_of(other, [own]).quotes == other.quotes
    near = evidence(quote("alchemy", "4000"))
    assert with_quotes_of(near, [other]).quotes == near.quotes


def test_a_price_that_was_read_long_before_says_nothing_about_one_of_now() -> None:
    own, before = evidence(quote("alchemy", "9")), evidence(quote("alchemy", "2", read=AN_HOUR + A_SECOND))
    assert with_quotes_of(own, [before, before, before]).quotes == own.quotes


@pytest.mark.parametrize(
    ("known", "is_without"),
    [
        (evidence(asked=NOW), True),
        (evidence(quote("alchemy")), False),
        (evidence(asked=NOW, depth=depth(UNKNOWN)), False),
    ],
)
def test_without_pools_is_what_the_source_that_knows_pools_never_had_one_of(known, is_without: bool) -> None:
    assert known.is_without_pools is is_without
