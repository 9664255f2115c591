"""Exact arithmetic of balances, prices and values.

A balance is an integer of a token's smallest unit, up to 2^256 - 1. Amounts, prices and values are
``Decimal``; every operation here is exact, and raises rather than rounds.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow, Rounded
from functools import reduce

MAX_DECIMALS = 77
"""With more decimals, one whole token would not fit into 2^256 - 1 units."""

# Wide enough for sums of any balance (78 digits) times any price that parse_price accepts.
_EXACT = Context(prec=512, traps=[InvalidOperation, DivisionByZero, Overflow, Inexact, Rounded])
_ZERO = Decimal(0)
_PRICE_DIGITS = 120


def amount_of(balance: int, decimals: int) -> Decimal:
    """Converts a balance in the smallest unit to whole tokens, exactly.

    Args:
        balance: 0 .. 2^256 - 1.
        decimals: 0 .. 77, as the contract says.
    """
    return _EXACT.scaleb(_EXACT.create_decimal(balance), -decimals)


def value_of(amount: Decimal, price_usd: Decimal) -> Decimal:
    """Amount times price in USD, at full precision."""
    return _EXACT.multiply(amount, price_usd)


def total_of(values: Iterable[Decimal]) -> Decimal:
    """The exact sum of values in USD; 0 for none."""
    return reduce(_EXACT.add, values, _ZERO)


def ratio_percent(part: Decimal, whole: Decimal) -> Decimal:
    """``part`` as a percentage of ``whole``, to 6 significant digits: for show only."""
    return Context(prec=6).divide(part * 100, whole) if whole else _ZERO


def parse_price(text: str | int | Decimal) -> Decimal:
    """A provider's price in USD, exactly as its text says.

    Raises:
        ValueError: It is no number, negative, not finite, or too large or small for a price.
    """
    try:
        price = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"'{str(text)[:40]}' is no number") from None
    if not price.is_finite() or price.is_signed():
        raise ValueError(f"'{str(text)[:40]}' is no price")
    _, digits, exponent = price.as_tuple()
    if len(digits) + abs(int(exponent)) > _PRICE_DIGITS:
        raise ValueError(f"'{str(text)[:40]}' is beyond the size of any price")
    return price


def parse_change(text: str | Decimal | None) -> Decimal | None:
    """A change in percent from a provider's text; ``None`` if it has no valid one."""
    try:
        change = Decimal(text) if text is not None else None
    except InvalidOperation:
        return None
    if change is None or not change.is_finite():
        return None
    return change if len(change.as_tuple().digits) + abs(change.adjusted()) <= _PRICE_DIGITS else None


def without_zeros(number: Decimal) -> Decimal:
    """The same number without trailing zeros, so that equal numbers from different sources have equal digits."""
    return _EXACT.normalize(number)


def plain(number: Decimal) -> str:
    """The number in plain notation without needless zeros: ``0.1``, never ``1E-1`` or ``0.10``."""
    text = str(number)
    if "E" in text:  # few have one, and this takes six times as long
        text = format(number, "f")
    if text[-1] == "0" and "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
