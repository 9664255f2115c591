"""Positions as CSV, for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any, Final

_COLUMNS: Final = (
    "walletAddress", "chainId", "tokenAddress", "isNative", "symbol", "name", "decimals", "balance", "amount",
    "priceUsd", "priceSource", "priceAt", "valueUsd", "change24h", "isSpam", "spamReasons", "flags", "stale", "logoUrl",
    "isCounted", "notCountedReason",
)  # fmt: skip
_HOSTILE: Final = frozenset({"symbol", "name", "logoUrl"})
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def positions_csv(positions: Sequence[dict[str, Any]]) -> str:
    """A header line, then one line per position, with the line ends of RFC 4180.

    Args:
        positions: Positions as in a portfolio's JSON.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for position in positions:
        writer.writerow([_cell(column, position[column]) for column in _COLUMNS])
    return text.getvalue()


def _cell(column: str, value: Any) -> Any:
    """A value for a spreadsheet; a token's name that would be read as a formula is quoted."""
    if isinstance(value, list):
        return " ".join(value)
    if column in _HOSTILE and value and (value.startswith(_FORMULA) or value.lstrip().startswith(_FORMULA)):
        return "'" + value
    return value
