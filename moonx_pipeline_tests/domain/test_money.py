from __future__ import annotations

import re
from decimal import Context, Decimal, DecimalException, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonx_pipeline.domain.money import (
    MAX_DECIMALS,
    amount_of,
    parse_price,
    plain,
    ratio_percent,
    total_of,
    value_of,
    without_zeros,
)
from moonx_pipeline.domain.portfolio import MAX_BALANCE
from moonx_pipeline_tests.support.examples import balances, decimals, prices

PLAIN = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?")


@given(balances, decimals)
def test_an_amount_is_the_balance_to_the_last_unit(balance: int, digits: int) -> None:
    amount = amount_of(balance, digits)
    assert type(amount) is Decimal
    assert Fraction(amount) == Fraction(balance, 10**digits)


@given(balances, decimals, prices)
def test_a_value_is_amount_times_price_without_rounding(balance: int, digits: int, usd: Decimal) -> None:
    value = value_of(amount_of(balance, digits), usd)
    assert type(value) is Decimal
    assert Fraction(value) == Fraction(balance, 10**digits) * Fraction(usd)


@given(st.data(), st.lists(st.tuples(balances, decimals, prices), max_size=6))
def test_a_total_is_the_exact_sum_in_any_order(data: st.DataObject, rows: list[tuple[int, int, Decimal]]) -> None:
    values = [value_of(amount_of(balance, digits), usd) for balance, digits, usd in rows]
    total = total_of(values)
    assert type(total) is Decimal
    assert Fraction(total) == sum(map(Fraction, values))
    assert total_of(data.draw(st.permutations(values))) == total


def test_the_largest_and_the_smallest_value_add_up_exactly() -> None:
    largest = value_of(amount_of(MAX_BALANCE, 0), parse_price("1" * 120))
    smallest = value_of(amount_of(1, MAX_DECIMALS), parse_price("1e-119"))
    total = total_of([largest, smallest, largest])
    assert Fraction(total) == 2 * MAX_BALANCE * int("1" * 120) + Fraction(1, 10 ** (77 + 119))


def test_what_could_not_be_exact_raises() -> None:
    with pytest.raises(DecimalException):
        value_of(Decimal("3" * 300), Decimal("7" * 300))
    with pytest.raises(DecimalException):
        total_of([Decimal("1e400"), Decimal("1e-400")])


def test_the_precision_of_the_calling_thread_does_not_matter() -> None:
    with localcontext(Context(prec=3)):
        amount = amount_of(123_456_789, 4)
        assert str(amount) == "12345.6789"
        assert str(value_of(amount, Decimal("1.0001"))) == "12346.91346789"
        assert str(total_of([amount, amount])) == "24691.3578"
        assert plain(amount) == "12345.6789"
        assert without_zeros(Decimal("12345.67890")).as_tuple() == Decimal("12345.6789").as_tuple()
        assert parse_price("12345.6789") == Decimal("12345.6789")


@given(st.one_of(prices, prices.map(lambda x: -x), st.builds(amount_of, balances, decimals)))
def test_plain_text_reads_back_as_the_same_number(number: Decimal) -> None:
    text = plain(number)
    assert PLAIN.fullmatch(text)
    assert Decimal(text) == number
    assert text != "-0"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("1E-1", "0.1"),
        ("0.10", "0.1"),
        ("1E+3", "1000"),
        ("1000", "1000"),
        ("1200.50", "1200.5"),
        ("1E-77", "0." + "0" * 76 + "1"),
        ("0E-18", "0"),
        ("0E+5", "0"),
        ("-0.00", "0"),
        ("-2.50", "-2.5"),
        (str(MAX_BALANCE), str(MAX_BALANCE)),
    ],
)
def test_plain_text_has_neither_exponent_nor_needless_zeros(number: str, text: str) -> None:
    assert plain(Decimal(number)) == text


@given(prices, st.integers(0, 12))
def test_equal_numbers_without_zeros_have_equal_digits(number: Decimal, zeros: int) -> None:
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    padded = Decimal((sign, digits + (0,) * zeros, exponent - zeros))
    assert without_zeros(padded) == number
    assert without_zeros(padded).as_tuple() == without_zeros(number).as_tuple()


@given(prices)
def test_a_price_is_exactly_its_text(number: Decimal) -> None:
    assert parse_price(str(number)).as_tuple() == number.as_tuple()
    assert parse_price(plain(number)) == number
    assert parse_price(number) == number


@pytest.mark.parametrize("text", ["0", "3210.55", "1e-18", 7, Decimal("0.00000001"), "9" * 120, "1e119", "1e-119"])
def test_a_price_may_be_as_large_or_small_as_any_is(text: str | int | Decimal) -> None:
    assert parse_price(text) == Decimal(text)


@pytest.mark.parametrize(
    "text",
    [
        *["", " ", "abc", "1.2.3", "0x10", "1,5", "$1", "None", "NaN", "-NaN", "sNaN", "Infinity", "-inf"],
        *["-1", "-0", "-0.0", "-1e-30", "1e120", "1e-120", "0e500", "1E+999999999", "1e-999999999999999999999"],
        *["9" * 121, "0." + "1" * 120, "9" * 100_000, Decimal("NaN"), Decimal(-1), Decimal("Infinity"), -1, 10**5000],
    ],
    ids=lambda text: repr(text)[:20] if not isinstance(text, int) else f"int of {text.bit_length()} bits",
)
def test_what_is_no_price_is_refused(text: str | int | Decimal) -> None:
    with pytest.raises(ValueError) as refused:
        parse_price(text)
    assert len(str(refused.value)) < 150


def test_a_share_is_in_percent_and_of_nothing_it_is_zero() -> None:
    assert ratio_percent(Decimal(1), Decimal(3)) == Decimal("33.3333")
    assert ratio_percent(Decimal(50), Decimal(50)) == 100
    assert ratio_percent(Decimal(0), Decimal(0)) == 0
