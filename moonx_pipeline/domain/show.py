"""Formats numbers and names for users. What is shown is rounded; what is stored never is."""

from __future__ import annotations

import unicodedata
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from moonx_pipeline.domain.money import plain

_CENT: Final = Decimal("0.01")
_WIDE: Final = Context(prec=512, rounding=ROUND_HALF_EVEN)
NAME_LENGTH: Final = 40


def usd(value: Decimal | None) -> str:
    """A value in US dollars: ``$1,234.56``, ``<$0.01`` for less than a cent, ``unknown`` for none."""
    if value is None:
        return "unknown"
    if 0 < value < _CENT:
        return "<$0.01"
    return f"${value.quantize(_CENT, context=_WIDE):,f}"


def significant(number: Decimal | None, digits: int = 6) -> str:
    """A number to ``digits`` significant digits, in plain notation; ``unknown`` for none."""
    if number is None:
        return "unknown"
    rounded = Context(prec=digits, rounding=ROUND_HALF_EVEN).plus(number)
    if abs(number) >= 10**digits:
        rounded = number.quantize(Decimal(1), context=_WIDE)
    whole, _, fraction = plain(rounded).partition(".")
    grouped = f"{int(whole):,}"
    return f"{grouped}.{fraction}" if fraction else grouped


def safe_text(text: str) -> str:
    """A token's name made safe for a page or a terminal: cut, and without invisible characters.

    Names are hostile input: control characters move a terminal's cursor, bidirectional marks turn text
    around.
    """
    clean = "".join(c if unicodedata.category(c) not in ("Cc", "Cf", "Co", "Cs") else "" for c in text)
    clean = " ".join(clean.split())
    return clean if len(clean) <= NAME_LENGTH else clean[: NAME_LENGTH - 1] + "…"
