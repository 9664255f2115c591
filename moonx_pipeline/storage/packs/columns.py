"""Texts of JSON, packed by columns: rows of a kind differ in few values, and a value little from the one before.

Each text is split into its values and what stands between them. Texts with the same between are one table, whose
columns lie one after the other; a column that never changes is kept once. What is unpacked is what was packed, to
the character.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
import zstandard

# A string of JSON (a key, too) or a number; ``true``, ``false`` and ``null`` belong to what stands between.
_VALUE: Final = re.compile(r'("(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*)')

# 12 ms for 300 events of 3.3 kB; the levels above take ten times as long for a twentieth less.
_LEVEL: Final = 15


class _Table(msgspec.Struct, array_like=True):
    """Texts with the same between.

    Attributes:
        between: What stands around the values, one piece more than there are values.
        columns: The values of each place: one for all texts, or one each.
    """

    between: list[str]
    columns: list[str | list[str]]


class _Packed(NamedTuple):
    """Tables, and for each text the number of its table."""

    tables: list[_Table]
    order: list[int]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Packed).decode


def pack_texts(texts: Sequence[str]) -> bytes:
    """Packs texts, which are JSON if the pack is to be small."""
    numbers: dict[tuple[str, ...], int] = {}
    values: list[list[list[str]]] = []
    order = []
    for text in texts:
        pieces = _VALUE.split(text)
        number = numbers.setdefault(tuple(pieces[::2]), len(numbers))
        if number == len(values):
            values.append([])
        values[number].append(pieces[1::2])
        order.append(number)
    tables = [
        _Table(list(between), [_column(column) for column in zip(*rows, strict=True)])
        for between, rows in zip(numbers, values, strict=True)
    ]
    return zstandard.ZstdCompressor(level=_LEVEL).compress(_encode(_Packed(tables, order)))


def _column(values: Sequence[str]) -> str | list[str]:
    return values[0] if values.count(values[0]) == len(values) else list(values)


def unpack_texts(packed: bytes) -> list[str]:
    """The texts that were packed, in their order.

    Raises:
        ValueError, zstandard.ZstdError: It is no pack.
    """
    tables, order = _decode(zstandard.ZstdDecompressor().decompress(packed))
    counts = [order.count(number) for number in range(len(tables))]
    texts = [iter(_texts(table, count)) for table, count in zip(tables, counts, strict=True)]
    return [next(texts[number]) for number in order]


def _texts(table: _Table, count: int) -> list[str]:
    columns = [[column] * count if isinstance(column, str) else column for column in table.columns]
    rows = zip(*columns, strict=True) if columns else [()] * count
    return ["".join(_alternating(table.between, row)) for row in rows]


def _alternating(between: list[str], values: Sequence[str]) -> list[str]:
    pieces = [""] * (len(between) + len(values))
    pieces[::2] = between
    pieces[1::2] = values
    return pieces
