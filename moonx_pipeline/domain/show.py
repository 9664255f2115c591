"""Formats numbers and names for users. What is shown is rounded; what is stored never is."""

from __future__ import annotations

import json
import re
import unicodedata
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from moonx_pipeline.domain.money import plain

_CENT: Final = Decimal("0.01")
_SHORTENED_FROM: Final = Decimal(10) ** 15
_SHORTENED_BELOW: Final = Decimal("1e-9")
"""Numbers beyond these are nobody's money: they are shown as ``1.158e59``, so that they fit beside others."""
_WIDE: Final = Context(prec=512, rounding=ROUND_HALF_EVEN)
NAME_LENGTH: Final = 40


def usd(value: Decimal | None) -> str:
    """A value in US dollars: ``$1,234.56``, ``<$0.01`` for less than a cent, ``unknown`` for none."""
    if value is None:
        return "unknown"
    if abs(value) >= _SHORTENED_FROM:
        return f"${_shortened(value)}"
    if 0 < value < _CENT:
        return "<$0.01"
    return f"${value.quantize(_CENT, context=_WIDE):,f}"


def significant(number: Decimal | None, digits: int = 6) -> str:
    """A number to ``digits`` significant digits, in plain notation from 10^-9 to 10^15; ``unknown`` for none."""
    if number is None:
        return "unknown"
    if abs(number) >= _SHORTENED_FROM or 0 < abs(number) < _SHORTENED_BELOW:
        return _shortened(number)
    rounded = Context(prec=digits, rounding=ROUND_HALF_EVEN).plus(number)
    if abs(number) >= 10**digits:
        rounded = number.quantize(Decimal(1), context=_WIDE)
    whole, _, fraction = plain(rounded).partition(".")
    grouped = f"{int(whole):,}"
    return f"{grouped}.{fraction}" if fraction else grouped


def _shortened(number: Decimal) -> str:
    digits, _, exponent = f"{Context(prec=4, rounding=ROUND_HALF_EVEN).plus(number):e}".partition("e")
    return f"{digits.rstrip('0').rstrip('.') if '.' in digits else digits}e{exponent.removeprefix('+')}"


_INVISIBLE: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
"""Unicode's categories of what moves a cursor, turns text around, ends a line or can't be seen."""
_UNUSUAL: Final = re.compile("[^ -~]")


def safe_text(text: str) -> str:
    """A token's name made safe for a page or a terminal: cut, and without invisible characters.

    Names are hostile input: control characters move a terminal's cursor, bidirectional marks turn text
    around.
    """
    clean = "".join(c if unicodedata.category(c) not in _INVISIBLE else "" for c in text)
    clean = " ".join(clean.split())
    return clean if len(clean) <= NAME_LENGTH else clean[: NAME_LENGTH - 1] + "…"


def visible(text: str, *, keep: str = "") -> str:
    """A text whose invisible characters are spelled out, such as ``\\u001b``: nothing is lost, and none takes effect.

    The spelling is JSON's, so that a JSON document stays the same document.

    Args:
        text: Anything, hostile or not.
        keep: Characters that stay: ``"\\n"`` where the text may have several lines.
    """

    def spelled(found: re.Match[str]) -> str:
        c = found[0]
        return json.dumps(c)[1:-1] if c not in keep and unicodedata.category(c) in _INVISIBLE else c

    return _UNUSUAL.sub(spelled, text)
