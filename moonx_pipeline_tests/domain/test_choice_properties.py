"""What holds for the price of any token, whatever sources said of it and when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from moonx_pipeline.domain.chains import ETHEREUM, NATIVE_TOKEN
from moonx_pipeline.domain.evidence import NO_EVIDENCE, Evidence, found, merge
from moonx_pipeline.domain.flags import BLOCKING_FLAGS, LOW_LIQUIDITY, UNCONFIRMED_PRICE
from moonx_pipeline.domain.holdings import Holding
from moonx_pipeline.domain.identity import UNLISTED, Identity
from moonx_pipeline.domain.portfolio import TokenInfo, TokenKey
from moonx_pipeline.domain.pricing import Choice
from moonx_pipeline.domain.quotes import PriceSource
from moonx_pipeline.domain.valuation import Valuer, is_counted, totals_of
from moonx_pipeline_tests.support.choices import DOLLAR, MAJOR, NAMED, choose
from moonx_pipeline_tests.support.examples import (
    FRESH,
    LIMITS,
    NOON,
    THIN,
    WALLET,
    depth,
    evidence,
    evidences,
    key_of,
    market_of,
    quote,
    token,
    without_floats,
)

identities = st.sampled_from([UNLISTED, NAMED, MAJOR, DOLLAR])
LISTINGS = {PriceSource.BINANCE, PriceSource.COINGECKO}
USES = {"chosen", "agrees", "differs", "far_apart", "outdated", "too_old", "refused", "unneeded"}


def was_asked_for(known: Evidence) -> Evidence:
    """The same, with an answer about pools before everything else: that somebody looked at all is news of its own."""
    return merge(found(PriceSource.DEXSCREENER, NOON - timedelta(days=99)), known)


def counts(choice: Choice) -> bool:
    return choice.quote is not None and BLOCKING_FLAGS.isdisjoint(choice.flags)


@given(evidences, identities, st.data())
def test_a_price_is_one_that_a_source_gave_and_the_order_does_not_matter(
    known: Evidence, identity: Identity, data: st.DataObject
) -> None:
    choice = choose(known, identity)
    shuffled = dict(data.draw(st.permutations(list(known.quotes.items()))))
    assert choose(known._replace(quotes=shuffled), identity) == choice
    assert choice.quote is None or known.quotes[choice.quote.source] is choice.quote
    assert choice.flags == tuple(sorted(set(choice.flags)))
    assert without_floats(choice)


@given(evidences, identities)
def test_every_quote_is_accounted_for_and_one_at_most_is_chosen(known: Evidence, identity: Identity) -> None:
    choice = choose(known, identity)
    assert {use.quote.source: use.quote for use in choice.uses} == known.quotes
    assert len(choice.uses) == len(known.quotes)
    assert [use.quote for use in choice.uses if use.use == "chosen"] == ([choice.quote] if choice.quote else [])
    assert {use.use for use in choice.uses} <= USES


@given(evidences, identities, st.sets(st.sampled_from(PriceSource)))
def test_an_answer_without_a_price_changes_no_choice(
    known: Evidence, identity: Identity, silent: set[PriceSource]
) -> None:
    after = known = was_asked_for(known)
    for source in silent:
        after = merge(after, found(source, NOON))
    assert choose(after, identity) == choose(known, identity)


@given(st.lists(evidences, min_size=1, max_size=4), st.sets(st.sampled_from(PriceSource)))
def test_empty_answers_never_raise_a_total_nor_lower_it_while_pools_are_believed(
    known: list[Evidence], silent: set[PriceSource]
) -> None:
    names = [TokenInfo("TKN", "Token", 0), TokenInfo("USDC", "USD Coin", 0)]

    def total(evidence_of: Mapping[TokenKey, Evidence]) -> Decimal:
        info = {key: names[n % 2] for n, key in enumerate(evidence_of)}
        held = [Holding(WALLET, 1, key.address, 700) for key in evidence_of]
        return totals_of(Valuer(info, market_of(evidence_of)).positions(held), []).value_usd

    before = {key_of(n): was_asked_for(what) for n, what in enumerate(known)}
    after = before
    for source in silent:
        after = {key: merge(what, found(source, NOON)) for key, what in after.items()}
    assert total(after) <= total(before)
    if all(what.depth is None or what.depth_now(NOON) for what in before.values()):
        assert total(after) == total(before)


@given(
    st.permutations(["coingecko", "dexscreener", "alchemy"]),
    st.decimals("0.0001", "10000", places=4),
    st.decimals("1", "1.1", places=3),
    st.decimals("11.5", "100000", places=2),
    st.booleans(),
    identities,
)
def test_one_that_is_far_from_two_that_agree_is_never_chosen(sources, usd, near, far, above, identity) -> None:
    third = usd * far if above else usd / far
    known = evidence(*map(quote, sources, (usd, usd * near, third)), depth=depth())
    choice = choose(known, identity)
    assert choice.quote is not None
    assert choice.quote.source is not PriceSource(sources[2])
    assert counts(choice)


@given(evidences, identities)
def test_what_counts_was_read_lately_and_is_of_lately(known: Evidence, identity: Identity) -> None:
    choice = choose(known, identity)
    if not counts(choice):
        return
    assert choice.quote is not None
    assert NOON - choice.quote.read_at <= LIMITS.stale_after
    bound = LIMITS.max_age * (7 if identity.is_dollar else 1)
    assert choice.quote.price_at is None or NOON - choice.quote.price_at <= bound


@given(evidences)
def test_a_dex_price_of_an_unlisted_token_counts_only_with_depth_or_a_second_source(known: Evidence) -> None:
    choice = choose(known)
    if choice.quote is None or choice.quote.source in LISTINGS or not counts(choice):
        return
    pools = known.depth_now(NOON)
    is_deep = pools is not None and pools.state.value == "deep"
    others = [use for use in choice.uses if use.use == "agrees"]
    assert is_deep or others
    assert is_deep or choice.quote.source is not PriceSource.DEXSCREENER


@given(evidences)
def test_a_token_with_thin_pools_counts_only_by_a_listing_or_as_a_share(known: Evidence) -> None:
    choice = choose(known._replace(depth=depth(THIN, "60")), NAMED)
    needs_no_pool = {*LISTINGS, PriceSource.REDEMPTION}
    assert not counts(choice) or (choice.quote is not None and choice.quote.source in needs_no_pool)
    if choice.quote is not None and choice.quote.source not in needs_no_pool and choice.rule != "outdated":
        assert LOW_LIQUIDITY in choice.flags


@given(evidences, identities)
def test_what_is_in_doubt_is_open_and_nothing_later_is_measured_against_it(known: Evidence, identity: Identity) -> None:
    choice = choose(known, identity)
    if not counts(choice) and choice.rule != "thin_pools":
        assert choice.is_open
    if choice.accepted(NOON) is not None:
        assert counts(choice) or UNCONFIRMED_PRICE in choice.flags
    assert choice.quote is not None or choice.accepted(NOON) is None


@given(evidences, evidences)
def test_a_coins_price_is_one_that_was_given_for_a_form_of_it(native: Evidence, wrapped: Evidence) -> None:
    ether, weth = TokenKey(1, NATIVE_TOKEN), TokenKey(1, ETHEREUM.wrapped_native)
    market = market_of({ether: native, weth: wrapped, key_of(): NO_EVIDENCE})
    given_quotes = [*native.quotes.values(), *wrapped.quotes.values()]
    for key in (ether, weth):
        chosen = market.choice(key).quote
        assert chosen is None or chosen in given_quotes
    assert market.choice(key_of()).quote is None


@given(evidences, st.sampled_from([timedelta(0), FRESH, timedelta(hours=1), timedelta(days=2)]))
def test_a_position_counts_exactly_where_nothing_of_its_price_blocks_it(known: Evidence, passed: timedelta) -> None:
    market = market_of({key_of(): known}, now=NOON + passed)
    (position,) = Valuer({key_of(): TokenInfo("TKN", "Token", 0)}, market).positions([Holding(WALLET, 1, token(1), 1)])
    choice = market.choice(key_of())
    assert position.price_usd == (choice.quote.price_usd if choice.quote else None)
    blocked = set(choice.flags) & BLOCKING_FLAGS - {UNCONFIRMED_PRICE}
    if is_counted(position):
        assert choice.quote is not None
        assert not blocked
