"""From balances and evidence to positions."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonx_pipeline.domain.chains import ARBITRUM, BASE, ETHEREUM, NATIVE_TOKEN, OPTIMISM, POLYGON
from moonx_pipeline.domain.evidence import Evidence
from moonx_pipeline.domain.flags import (
    BALANCE_UNKNOWN,
    LOW_LIQUIDITY,
    OLD_PRICE,
    SPAM,
    SUSPECTED,
    UNCONFIRMED_PRICE,
    UNPRICED,
)
from moonx_pipeline.domain.holdings import Holding
from moonx_pipeline.domain.market import Known
from moonx_pipeline.domain.portfolio import MAX_BALANCE, Position, TokenInfo, TokenKey
from moonx_pipeline.domain.valuation import Valuer, is_counted, totals_of
from moonx_pipeline_tests.support.choices import OLD
from moonx_pipeline_tests.support.examples import (
    LISTED,
    NOON,
    NOW,
    OTHER_WALLET,
    THIN,
    UNKNOWN,
    WALLET,
    depth,
    evidence,
    holding,
    key_of,
    market_of,
    portfolios,
    quote,
    token,
    without_floats,
)

TKN = TokenInfo("TKN", "Token", 6)
USDC_INFO = TokenInfo("USDC", "USD Coin", 6)
NOTHING = Evidence({}, {})


def valued(info: TokenInfo | None = TKN, known: Known | Evidence = NOTHING, held: Holding | None = None) -> Position:
    held = held or holding()
    key = TokenKey(held.chain_id, held.token)
    (position,) = Valuer({key: info} if info else {}, market_of({key: known})).positions([held])
    return position


def deep(usd: str = "1.5", market_usd: str = "1000000") -> Evidence:
    return evidence(quote("dexscreener", usd), depth=depth(usd=market_usd))


# -- a position


@given(portfolios())
def test_a_position_is_exact_and_unknown_where_a_part_of_it_is(positions: tuple[Position, ...]) -> None:
    for p in positions:
        assert (p.amount is None) == (p.decimals is None)
        assert (p.value_usd is None) == (p.amount is None or p.price_usd is None)
        assert (p.price_usd is None) == (p.price_source is None) == (p.price_at is None)
        if p.amount is not None and p.decimals is not None:
            assert Fraction(p.amount) == Fraction(p.balance, 10**p.decimals)
            if p.price_usd is not None:
                assert Fraction(p.value_usd or 0) == Fraction(p.amount) * Fraction(p.price_usd)
        assert p.is_spam == bool(p.spam_reasons)
        assert not (p.is_spam and p.is_verified)
        assert p.flags == tuple(sorted(set(p.flags)))
    assert without_floats(positions)


@given(portfolios(), st.data())
def test_positions_are_in_the_order_of_value_however_they_came(
    positions: tuple[Position, ...], data: st.DataObject
) -> None:
    tokens = {p.key: TokenInfo(p.symbol, p.name, p.decimals) for p in positions}
    said = {p.key: evidence(quote("coingecko", p.price_usd)) for p in positions if p.price_usd is not None}
    held = [Holding(p.wallet, p.chain_id, p.token, p.balance) for p in positions]
    result = Valuer(tokens, market_of(said)).positions(held)
    assert Valuer(tokens, market_of(said)).positions(data.draw(st.permutations(held))) == result
    values = [p.value_usd for p in result]
    known = [value for value in values if value is not None]
    assert values[: len(known)] == sorted(known, reverse=True)


def test_the_largest_value_comes_first_and_what_has_none_last() -> None:
    known = {key_of(n): evidence(quote("coingecko", usd)) for n, usd in ((1, "2"), (2, "30"), (4, "0.1"))}
    made = Valuer(dict.fromkeys(map(key_of, range(1, 5)), TKN), market_of(known)).positions(map(holding, range(1, 5)))
    assert [p.token for p in made] == [token(n) for n in (2, 1, 4, 3)]


def test_ties_are_by_wallet_then_chain_as_people_see_them_then_token() -> None:
    places = [
        (wallet, chain.id, token(number))
        for wallet in (WALLET, OTHER_WALLET)
        for chain in (ETHEREUM, POLYGON, OPTIMISM, ARBITRUM, BASE)
        for number in (1, 2)
    ]
    positions = Valuer({}, market_of({})).positions([Holding(*place, 1) for place in reversed(places)])
    assert [(p.wallet, p.chain_id, p.token) for p in positions] == places


def test_a_position_tells_its_price_with_source_and_time() -> None:
    position = valued(known=evidence(quote("coingecko", "2", said=timedelta(minutes=3), change="-1.5")))
    assert (position.price_usd, position.price_source, position.change_24h) == (2, "coingecko", Decimal("-1.5"))
    assert position.price_at == NOON - timedelta(minutes=3)
    assert valued(known=evidence(quote("binance", "2"))).price_at == NOON
    assert valued().price_at is None


@pytest.mark.parametrize("info", [None, TokenInfo("TKN", "Token", None)])
def test_unknown_decimals_leave_amount_and_value_unknown_but_keep_balance_and_price(info: TokenInfo | None) -> None:
    position = valued(info, evidence(quote("coingecko", "2")))
    assert (position.balance, position.price_usd) == (2_500_000, 2)
    assert (position.decimals, position.amount, position.value_usd) == (None, None, None)
    assert position.not_counted_reason == UNPRICED


def test_the_largest_balance_and_the_most_decimals_are_exact() -> None:
    whole = valued(TKN._replace(decimals=0), evidence(quote("coingecko", "1E+41")), holding(balance=MAX_BALANCE))
    least = valued(TKN._replace(decimals=77), evidence(quote("coingecko", "1E-119")), holding(2, balance=1))
    assert whole.value_usd == MAX_BALANCE * 10**41
    assert Fraction(least.value_usd or 0) == Fraction(1, 10**196)
    total = totals_of([whole, least], []).value_usd
    assert Fraction(total) == MAX_BALANCE * 10**41 + Fraction(1, 10**196)


def test_a_listed_token_is_called_what_its_list_says_with_decimals_of_its_own() -> None:
    lie = TokenInfo("FREE", "claim at drop.com", 3, "https://logos.test/1.png")
    position = valued(lie, Known(LISTED, evidence(quote("alchemy", "2"))))
    assert (position.symbol, position.name, position.decimals) == ("TKN", "Token", 3)
    assert (position.is_verified, position.is_spam, position.logo_url) == (True, False, "https://logos.test/1.png")
    native = valued(lie, held=Holding(WALLET, 137, NATIVE_TOKEN, 10**18))
    assert (native.symbol, native.decimals, native.amount, native.is_verified) == ("POL", 18, 1, True)


def test_a_position_tells_all_flags_once_and_whether_it_is_stale() -> None:
    held = holding(flags=(BALANCE_UNKNOWN,))._replace(stale=True)
    position = valued(known=evidence(quote("coingecko", "2", read=OLD)), held=held)
    assert position.flags == (BALANCE_UNKNOWN, OLD_PRICE)
    assert position.stale
    assert is_counted(position)


# -- spam

SUSPICIOUS = [
    TokenInfo("SAFE", "Safe.finance Share", 6),
    TokenInfo("YLD", "Visit yield", 6),
    TokenInfo("WBTC", "Wrapped BTC", 6),
    TokenInfo("USDT", "Tether USD", 6),
    TokenInfo("TO\u200bKEN", "Token", 6),
    TokenInfo(None, None, 6),
]


@pytest.mark.parametrize("info", SUSPICIOUS, ids=str)
def test_a_suspected_token_is_spam_only_without_list_or_depth_and_once_asked_for(info: TokenInfo) -> None:
    silent, priced = evidence(asked=NOW), evidence(quote("alchemy", "4"))
    assert valued(info, silent).not_counted_reason == SPAM
    assert valued(info, evidence(quote("alchemy", "4"), depth=depth(THIN, "9"))).not_counted_reason == SPAM
    assert valued(info, evidence(quote("alchemy", "4"), depth=depth(UNKNOWN))).not_counted_reason == SPAM
    for good in (Known(LISTED, priced), deep(), evidence(quote("coingecko", "4"), asked=NOW)):
        position = valued(info, good)
        assert (position.spam_reasons, position.not_counted_reason) == ((), None)
    pending = valued(info, priced)
    assert (pending.is_spam, pending.not_counted_reason) == (False, SUSPECTED)
    assert pending.value_usd == 10


def test_a_deep_token_is_not_spam_since_nobody_answers_any_more() -> None:
    long_ago = timedelta(days=3)
    position = valued(SUSPICIOUS[0], evidence(quote("alchemy", "4"), depth=depth(read=long_ago), asked=long_ago))
    assert not position.is_spam
    assert UNCONFIRMED_PRICE not in position.flags  # 10 USD


@pytest.mark.parametrize(
    "known",
    [evidence(quote("coingecko", "1")), Known(LISTED._replace(coingecko_id="usd-coin"))],
    ids=["priced", "listed"],
)
def test_a_well_known_name_is_clean_when_listed_and_spam_when_forged(known: Known | Evidence) -> None:
    listed, forged = valued(USDC_INFO, known), valued(USDC_INFO, evidence(quote("alchemy", "1"), asked=NOW))
    assert (listed.is_verified, listed.is_spam) == (True, False)
    assert (forged.is_verified, forged.spam_reasons) == (False, ("lookalike_symbol",))


def test_spam_keeps_its_value_and_never_counts() -> None:
    position = valued(TokenInfo("TKN", "visit drop.com", 6), evidence(quote("alchemy", "1000000"), asked=NOW))
    assert position.value_usd == 2_500_000
    assert position.spam_reasons == ("link_in_name", "lure_in_name")
    totals = totals_of([position], [])
    assert (totals.value_usd, totals.counted, totals.spam, totals.unpriced) == (0, 0, 1, 0)


def test_thin_is_not_spam_but_low_liquidity_shown_with_its_value() -> None:
    position = valued(known=evidence(quote("dexscreener", "40"), depth=depth(THIN, "300")))
    assert (position.value_usd, position.is_spam, position.not_counted_reason) == (100, False, LOW_LIQUIDITY)


def test_a_token_that_nobody_described_yet_is_not_called_spam_for_it() -> None:
    assert valued(None, evidence(asked=NOW)).spam_reasons == ()
    assert valued(TokenInfo(None, None, None), evidence(asked=NOW)).spam_reasons == ("no_metadata",)


def test_suspicions_are_told_of_tokens_that_no_list_names_whatever_the_verdict() -> None:
    forged = {key_of(n): USDC_INFO for n in (1, 2, 3)}
    known = {key_of(1): Known(LISTED), key_of(2): deep(), key_of(3): evidence(asked=NOW)}
    facts = [Valuer(forged, market_of(known)).facts(key) for key in forged]
    assert [one.suspected_for for one in facts] == [(), ("lookalike_symbol",), ("lookalike_symbol",)]
    assert [one.spam_reasons for one in facts] == [(), (), ("lookalike_symbol",)]


def test_what_is_known_of_a_token_is_worked_out_once_for_all_who_hold_it() -> None:
    valuer = Valuer({key_of(): TKN}, market_of({key_of(): deep()}))
    assert valuer.facts(key_of()) is valuer.facts(key_of())
