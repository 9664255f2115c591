from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonx_pipeline.domain.chains import ARBITRUM, BASE, ETHEREUM, OPTIMISM, POLYGON
from moonx_pipeline.domain.curated import CURATED
from moonx_pipeline.domain.holdings import BALANCE_UNKNOWN, Holding
from moonx_pipeline.domain.portfolio import MAX_BALANCE, Position, TokenInfo, TokenKey
from moonx_pipeline.domain.pricing import (
    BLOCKING_FLAGS,
    OLD_PRICE,
    PRICE_JUMP,
    SOURCES_DISAGREE,
    THIN_LIQUIDITY,
    UNCONFIRMED_PRICE,
    USDT_AT_PAR,
    BookPrice,
)
from moonx_pipeline.domain.valuation import (
    Valuer,
    is_counted,
    totals_of,
)
from moonx_pipeline_tests.domain.examples import (
    LIMITS,
    NOON,
    OTHER_WALLET,
    USDC,
    WALLET,
    holding,
    portfolios,
    price,
    token,
    without_floats,
)

TKN = TokenInfo("TKN", "Token", 6)


def valued(info: TokenInfo | None = TKN, book: BookPrice | None = None, held: Holding | None = None) -> Position:
    held = held or holding()
    key = TokenKey(held.chain_id, held.token)
    return Valuer({key: info} if info else {}, {key: book} if book else {}, LIMITS).position(held)


@given(portfolios(), st.data())
def test_a_total_is_the_exact_sum_of_its_counted_positions_in_any_order(
    positions: tuple[Position, ...], data: st.DataObject
) -> None:
    totals = totals_of(positions, [])
    counted = [p for p in positions if is_counted(p)]
    assert Fraction(totals.value_usd) == sum(Fraction(p.value_usd) for p in counted if p.value_usd is not None)
    assert totals.counted == len(counted)
    assert totals.counted + totals.unpriced + totals.spam + totals.flagged == len(positions)
    assert totals_of(data.draw(st.permutations(positions)), []) == totals
    assert without_floats(totals)


@given(portfolios())
def test_neither_spam_nor_a_blocked_nor_an_unknown_value_is_counted(positions: tuple[Position, ...]) -> None:
    for position in positions:
        blocked = not BLOCKING_FLAGS.isdisjoint(position.flags)
        counts = not position.is_spam and not blocked and position.value_usd is not None
        assert is_counted(position) == counts
        totals = totals_of([position], [])
        assert totals.value_usd == (position.value_usd if counts else 0)
        assert totals.spam == int(position.is_spam)
        assert totals.unpriced == int(not position.is_spam and position.value_usd is None)
        assert totals.flagged == int(not position.is_spam and position.value_usd is not None and blocked)


@given(portfolios())
def test_a_position_is_exact_and_unknown_where_a_part_of_it_is(positions: tuple[Position, ...]) -> None:
    for p in positions:
        assert (p.amount is None) == (p.decimals is None)
        assert (p.value_usd is None) == (p.amount is None or p.price_usd is None)
        assert (p.price_usd is None) == (p.price_source is None)
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
    book = {p.key: price(str(p.price_usd)) for p in positions if p.price_usd is not None}
    held = [Holding(p.wallet, p.chain_id, p.token, p.balance) for p in positions]
    result = Valuer(tokens, book, LIMITS).positions(held)
    assert Valuer(tokens, book, LIMITS).positions(data.draw(st.permutations(held))) == result
    values = [p.value_usd for p in result]
    known = [value for value in values if value is not None]
    assert values[: len(known)] == sorted(known, reverse=True)


def test_ties_are_by_wallet_then_chain_as_people_see_them_then_token() -> None:
    places = [
        (wallet, chain.id, token(number))
        for wallet in (WALLET, OTHER_WALLET)
        for chain in (ETHEREUM, POLYGON, OPTIMISM, ARBITRUM, BASE)
        for number in (1, 2)
    ]
    positions = Valuer({}, {}, LIMITS).positions([Holding(*place, 1) for place in reversed(places)])
    assert [(p.wallet, p.chain_id, p.token) for p in positions] == places


def test_unpriced_is_not_zero() -> None:
    unpriced, worthless = valued(book=price(None)), valued(book=price("0"))
    assert (unpriced.amount, unpriced.price_usd, unpriced.value_usd) == (Decimal("2.5"), None, None)
    assert (worthless.price_usd, worthless.value_usd) == (0, 0)
    assert not is_counted(unpriced)
    assert is_counted(worthless)
    assert valued(book=None).value_usd is None
    totals = totals_of([unpriced, worthless], [])
    assert (totals.value_usd, totals.counted, totals.unpriced) == (0, 1, 1)


@pytest.mark.parametrize("info", [None, TokenInfo("TKN", "Token", None)])
def test_unknown_decimals_leave_amount_and_value_unknown_but_keep_balance_and_price(info: TokenInfo | None) -> None:
    position = valued(info, price("2"))
    assert (position.balance, position.price_usd) == (2_500_000, 2)
    assert (position.decimals, position.amount, position.value_usd) == (None, None, None)
    assert totals_of([position], []).unpriced == 1


def test_the_largest_balance_and_the_most_decimals_are_exact() -> None:
    whole = valued(TKN._replace(decimals=0), price("1E+41"), holding(balance=MAX_BALANCE))
    least = valued(TKN._replace(decimals=77), price("1E-119"), holding(2, balance=1))
    assert whole.value_usd == MAX_BALANCE * 10**41
    assert Fraction(least.value_usd or 0) == Fraction(1, 10**196)
    total = totals_of([whole, least], []).value_usd
    assert Fraction(total) == MAX_BALANCE * 10**41 + Fraction(1, 10**196)


@pytest.mark.parametrize("source", ["binance", "coingecko"])
def test_a_well_known_name_is_clean_when_verified_and_spam_when_forged(source: str) -> None:
    usdc = TokenInfo("USDC", "USD Coin", 6)
    listed = valued(usdc, price("1", source))
    forged = valued(usdc, price("1", "dexscreener"))
    assert (listed.is_verified, listed.is_spam) == (True, False)
    assert (forged.is_verified, forged.spam_reasons) == (False, ("lookalike_symbol",))
    totals = totals_of([listed, forged], [])
    assert (totals.value_usd, totals.spam) == (Decimal("2.5"), 1)


@pytest.mark.parametrize("key", CURATED, ids=lambda key: f"{key.chain_id}-{CURATED[key].symbol}")
def test_a_curated_token_is_what_this_repository_says_whatever_others_say(key: TokenKey) -> None:
    lie = TokenInfo("FREE", "claim at drop.com", 3, "https://logos.test/1.png")
    position = valued(lie, price("1"), Holding(WALLET, key.chain_id, key.address, 10**6))
    assert (position.symbol, position.name, position.decimals) == CURATED[key].info[:3]
    assert (position.is_verified, position.is_spam) == (True, False)
    assert position.logo_url == "https://logos.test/1.png"
    silent = valued(None, None, Holding(WALLET, key.chain_id, key.address, 10**6))
    assert silent[:9] == (*position[:7], position.amount, None)


def test_spam_keeps_its_value_and_never_counts() -> None:
    position = valued(TokenInfo("TKN", "visit drop.com", 6), price("1000000"))
    assert position.value_usd == 2_500_000
    assert position.spam_reasons == ("link_in_name", "lure_in_name")
    totals = totals_of([position], [])
    assert (totals.value_usd, totals.counted, totals.spam, totals.unpriced) == (0, 0, 1, 0)


def test_thin_liquidity_is_spam_unless_verified() -> None:
    position = valued(book=price(None, flags=(THIN_LIQUIDITY,)))
    assert (position.spam_reasons, position.flags) == ((THIN_LIQUIDITY,), (THIN_LIQUIDITY,))
    forged = valued(TokenInfo("USDC", "USD Coin", 6), price(None, flags=(THIN_LIQUIDITY,)))
    assert forged.spam_reasons == ("lookalike_symbol", THIN_LIQUIDITY)
    usdc = valued(TKN, price(None, flags=(THIN_LIQUIDITY,)), Holding(WALLET, 1, USDC, 1))
    assert usdc.spam_reasons == ()


def test_a_token_that_nobody_described_yet_is_not_called_spam_for_it() -> None:
    assert valued(None).spam_reasons == ()
    assert valued(TokenInfo(None, None, None)).spam_reasons == ("no_metadata",)


@pytest.mark.parametrize("flag", sorted({PRICE_JUMP, UNCONFIRMED_PRICE}))
def test_a_price_that_is_not_trusted_is_shown_and_kept_out_of_the_total(flag: str) -> None:
    position = valued(book=price("4000.01", flags=(flag,)))
    assert position.value_usd == Decimal("10000.025")
    totals = totals_of([position], [])
    assert (totals.value_usd, totals.counted, totals.flagged) == (0, 0, 1)


@pytest.mark.parametrize("flag", [SOURCES_DISAGREE, USDT_AT_PAR, OLD_PRICE])
def test_a_flag_that_only_informs_keeps_a_position_in_the_total(flag: str) -> None:
    totals = totals_of([valued(book=price("2", flags=(flag,)))], [])
    assert (totals.value_usd, totals.counted, totals.flagged) == (5, 1, 0)


@pytest.mark.parametrize(("usd", "counted"), [("1", True), ("4000", True), ("4000.0000001", False)])
def test_an_unconfirmed_price_counts_up_to_the_bound(usd: str, counted: bool) -> None:
    position = valued(book=price(usd, "alchemy", flags=(UNCONFIRMED_PRICE,)))
    assert is_counted(position) == counted
    assert position.flags == (() if counted else (UNCONFIRMED_PRICE,))


def test_a_position_tells_all_flags_once_and_whether_it_is_stale() -> None:
    held = holding(flags=(BALANCE_UNKNOWN,))._replace(stale=True)
    position = valued(book=price("2", flags=(OLD_PRICE, SOURCES_DISAGREE)), held=held)
    assert position.flags == (BALANCE_UNKNOWN, OLD_PRICE, SOURCES_DISAGREE)
    assert position.stale
    assert is_counted(position)


def test_stale_chains_are_told_once_in_the_order_of_chains() -> None:
    totals = totals_of([], [BASE.id, 1, 10, 137, BASE.id, 42161])
    assert totals.stale_chains == (1, 137, 10, 42161, 8453)
    assert not totals.complete
    assert totals_of([], []).complete
    assert totals_of([], []).value_usd == 0


def test_no_price_at_is_told_without_a_price() -> None:
    assert valued(book=price(None)).price_at is None
    assert valued(book=price("1")).price_at == NOON
