from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonx_pipeline.domain.pricing import (
    BLOCKING_FLAGS,
    OLD_PRICE,
    PRICE_JUMP,
    REFERENCE_AGE,
    SOURCES_DISAGREE,
    THIN_LIQUIDITY,
    UNCONFIRMED_PRICE,
    USDT_AT_PAR,
    BookPrice,
    choose_price,
    keep_price,
)
from moonx_pipeline.domain.quotes import PriceSource, Quote
from moonx_pipeline_tests.domain.examples import LIMITS, NOON, changes, prices, without_floats

BINANCE, COINGECKO, ALCHEMY, DEXSCREENER = PriceSource
DEX = {ALCHEMY.value, DEXSCREENER.value}
Quotes = dict[PriceSource, Quote]


def quotes_of(**usd: str) -> Quotes:
    return {
        source: Quote(source, Decimal(usd[source.value]), None, NOON) for source in PriceSource if source.value in usd
    }


def choose(
    quotes: Quotes,
    *,
    curated: bool = False,
    thin: bool = False,
    previous: BookPrice | None = None,
    at: datetime = NOON,
    notes: tuple[str, ...] = (),
) -> BookPrice:
    return choose_price(quotes, curated=curated, thin=thin, previous=previous, read_at=at, limits=LIMITS, notes=notes)


@st.composite
def drawn_quotes(draw: st.DrawFn) -> Quotes:
    sources = draw(st.sets(st.sampled_from(PriceSource)))
    at = st.sampled_from([None, NOON - timedelta(minutes=2)])
    return {s: Quote(s, draw(prices), draw(at), NOON, draw(st.none() | prices), draw(changes)) for s in sources}


@pytest.mark.parametrize(
    ("curated", "order"),
    [(True, [BINANCE, COINGECKO, ALCHEMY, DEXSCREENER]), (False, [COINGECKO, DEXSCREENER, ALCHEMY])],
)
def test_the_most_trusted_source_that_answered_is_used(curated: bool, order: list[PriceSource]) -> None:
    quotes = quotes_of(binance="100", coingecko="101", alchemy="102", dexscreener="103")
    while order:
        entry = choose(quotes, curated=curated)
        assert (entry.source, entry.price_usd) == (order[0].value, quotes[order[0]].price_usd)
        del quotes[order.pop(0)]
    assert choose(quotes, curated=curated).price_usd is None


def test_a_direct_quote_is_for_curated_tokens_only() -> None:
    assert choose(quotes_of(binance="5")).price_usd is None


@given(drawn_quotes(), st.booleans(), st.booleans(), st.data())
def test_the_order_of_quotes_does_not_matter_and_no_price_is_made_up(
    quotes: Quotes, curated: bool, thin: bool, data: st.DataObject
) -> None:
    entry = choose(quotes, curated=curated, thin=thin)
    assert choose(dict(data.draw(st.permutations(list(quotes.items())))), curated=curated, thin=thin) == entry
    assert without_floats(entry)
    if entry.price_usd is None:
        assert (entry.source, entry.price_at, entry.liquidity_usd, entry.change_24h) == (None, None, None, None)
    else:
        quote = quotes[PriceSource(entry.source)]
        assert entry.price_usd.as_tuple() == quote.price_usd.as_tuple()
        assert entry.price_at == (quote.price_at or quote.read_at)
        assert entry.liquidity_usd == quote.liquidity_usd
    assert entry.flags == tuple(sorted(set(entry.flags)))


@given(drawn_quotes())
def test_a_token_of_thin_liquidity_never_has_a_dex_price(quotes: Quotes) -> None:
    entry = choose(quotes, thin=True)
    assert entry.source not in DEX
    listed = quotes.get(COINGECKO)
    assert entry.price_usd == (listed.price_usd if listed else None)
    assert (THIN_LIQUIDITY in entry.flags) == (listed is None)


def test_a_curated_token_needs_no_liquidity() -> None:
    entry = choose(quotes_of(dexscreener="2"), curated=True, thin=True)
    assert (entry.price_usd, entry.flags) == (2, ())
    assert choose({}, curated=True, thin=True).flags == ()


def test_a_price_is_unknown_where_no_source_has_one_and_that_is_not_zero() -> None:
    entry = choose({})
    assert entry == BookPrice(None, None, None, None, None, (), NOON)
    assert choose(quotes_of(coingecko="0")).price_usd == 0


@pytest.mark.parametrize(
    ("other", "flags"), [("110", ()), ("110.0000001", (SOURCES_DISAGREE,)), ("0", (SOURCES_DISAGREE,))]
)
@pytest.mark.parametrize("trusted", ["110", "100"])
def test_sources_that_differ_beyond_the_bound_are_flagged_and_the_trusted_one_is_used(
    other: str, flags: tuple[str, ...], trusted: str
) -> None:
    # The bound is the same whichever of the two is the higher.
    usd, second = (other, "100") if trusted == "110" else ("100", other)
    entry = choose(quotes_of(coingecko=usd, dexscreener=second))
    assert (entry.source, entry.price_usd, entry.flags) == ("coingecko", Decimal(usd), flags)


def test_one_of_several_sources_that_differs_is_enough_for_the_flag() -> None:
    entry = choose(quotes_of(coingecko="100", dexscreener="101", alchemy="200"))
    assert entry.flags == (SOURCES_DISAGREE,)
    assert SOURCES_DISAGREE not in BLOCKING_FLAGS


def test_a_dex_price_without_known_liquidity_is_unconfirmed() -> None:
    assert choose(quotes_of(alchemy="3")).flags == (UNCONFIRMED_PRICE,)
    assert choose(quotes_of(alchemy="3", dexscreener="3")).flags == ()
    assert choose(quotes_of(alchemy="3"), curated=True).flags == ()
    assert choose(quotes_of(dexscreener="3")).flags == ()
    assert UNCONFIRMED_PRICE in BLOCKING_FLAGS


def test_what_the_reading_noted_stays_on_the_price() -> None:
    entry = choose(quotes_of(binance="100", coingecko="200"), curated=True, notes=(USDT_AT_PAR,))
    assert entry.flags == (SOURCES_DISAGREE, USDT_AT_PAR)
    assert USDT_AT_PAR not in BLOCKING_FLAGS


def test_the_change_is_that_of_the_most_trusted_source_that_tells_one() -> None:
    quotes = quotes_of(coingecko="100", dexscreener="100", alchemy="100")
    quotes[DEXSCREENER] = quotes[DEXSCREENER]._replace(change_24h=Decimal("-1.5"))
    quotes[ALCHEMY] = quotes[ALCHEMY]._replace(change_24h=Decimal(9))
    assert choose(quotes).change_24h == Decimal("-1.5")
    quotes[COINGECKO] = quotes[COINGECKO]._replace(change_24h=Decimal(0))
    assert choose(quotes).change_24h == 0


@pytest.mark.parametrize(
    ("usd", "jumps"), [("10", False), ("10.0001", True), ("0.1", False), ("0.0999", True), ("0", True)]
)
def test_a_move_beyond_the_factor_up_or_down_is_a_jump(usd: str, jumps: bool) -> None:
    before = choose(quotes_of(coingecko="1"))
    entry = choose(quotes_of(coingecko=usd), previous=before, at=NOON + timedelta(minutes=5))
    assert entry.price_usd == Decimal(usd)
    assert (PRICE_JUMP in entry.flags) == jumps
    assert PRICE_JUMP in BLOCKING_FLAGS


def test_a_jump_stays_one_for_a_day_after_the_last_accepted_price_and_is_then_accepted() -> None:
    entry = choose(quotes_of(coingecko="1"))
    for after in (timedelta(minutes=5), timedelta(hours=12), REFERENCE_AGE):
        entry = choose(quotes_of(coingecko="50"), previous=entry, at=NOON + after)
        assert entry.flags == (PRICE_JUMP,)
        assert (entry.reference_usd, entry.reference_at) == (1, NOON)
    later = NOON + REFERENCE_AGE + timedelta(seconds=1)
    entry = choose(quotes_of(coingecko="50"), previous=entry, at=later)
    assert entry.flags == ()
    assert (entry.reference_usd, entry.reference_at) == (50, later)


def test_a_jump_that_a_second_source_confirms_is_accepted_at_once() -> None:
    before, at = choose(quotes_of(coingecko="1")), NOON + timedelta(minutes=5)
    confirmed = choose(quotes_of(coingecko="50", dexscreener="52"), previous=before, at=at)
    assert confirmed.flags == ()
    assert (confirmed.reference_usd, confirmed.reference_at) == (50, at)
    denied = choose(quotes_of(coingecko="50", dexscreener="1"), previous=before, at=at)
    assert denied.flags == (PRICE_JUMP, SOURCES_DISAGREE)
    assert (denied.reference_usd, denied.reference_at) == (1, NOON)


def test_a_price_that_comes_back_from_a_jump_is_accepted() -> None:
    before = choose(quotes_of(coingecko="1"))
    jumped = choose(quotes_of(coingecko="50"), previous=before, at=NOON + timedelta(minutes=5))
    back = choose(quotes_of(coingecko="1.1"), previous=jumped, at=NOON + timedelta(minutes=10))
    assert back.flags == ()
    assert (back.reference_usd, back.reference_at) == (Decimal("1.1"), NOON + timedelta(minutes=10))


def test_a_gap_without_any_price_does_not_let_a_jump_through() -> None:
    before = choose(quotes_of(coingecko="1"))
    gap = choose({}, previous=before, at=NOON + timedelta(minutes=5))
    assert (gap.price_usd, gap.reference_usd, gap.reference_at) == (None, 1, NOON)
    entry = choose(quotes_of(coingecko="50"), previous=gap, at=NOON + timedelta(minutes=10))
    assert entry.flags == (PRICE_JUMP,)


@given(drawn_quotes(), drawn_quotes(), st.booleans(), st.booleans())
def test_a_first_price_is_no_jump_and_no_entry_holds_a_float(
    first: Quotes, second: Quotes, curated: bool, thin: bool
) -> None:
    before = choose(first, curated=curated, thin=thin)
    assert PRICE_JUMP not in before.flags
    after = choose(second, curated=curated, thin=thin, previous=before, at=NOON + timedelta(hours=1))
    assert without_floats(after)
    if PRICE_JUMP in after.flags:
        assert (after.reference_usd, after.reference_at) == (before.reference_usd, before.reference_at)


def test_a_kept_price_is_marked_as_old_and_keeps_all_else() -> None:
    entry = choose(quotes_of(coingecko="100", dexscreener="200"))
    kept = keep_price(entry, now=NOON + timedelta(hours=1), oldest=timedelta(hours=1))
    assert kept == entry._replace(flags=(OLD_PRICE, SOURCES_DISAGREE))
    assert kept is not None
    assert keep_price(kept, now=NOON, oldest=timedelta(hours=1)) == kept
    assert OLD_PRICE not in BLOCKING_FLAGS


def test_a_price_too_old_or_unknown_is_not_kept() -> None:
    entry = choose(quotes_of(coingecko="100"))
    assert keep_price(entry, now=NOON + timedelta(hours=1, seconds=1), oldest=timedelta(hours=1)) is None
    assert keep_price(choose({}), now=NOON, oldest=timedelta(hours=1)) is None
