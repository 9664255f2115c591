"""A portfolio as a table in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from moonx_pipeline.domain.chains import CHAIN_BY_ID
from moonx_pipeline.domain.portfolio import Position
from moonx_pipeline.domain.show import safe_text, significant, usd
from moonx_pipeline.storage.portfolios.portfolio import ChainState, StoredPortfolio

_GAP = 2
_NOTE_WIDTH = 16
"""The least width in which a note can be read."""


def portfolio_table(
    stored: StoredPortfolio, *, include_spam: bool = False, most: int | None = None, fold: bool = False
) -> Group:
    """The counted positions by value, then the others, the total, and in words what it omits.

    Args:
        stored: The portfolio.
        include_spam: Shows what is hidden as spam, too.
        most: The most positions; ``None`` for all.
        fold: Puts all positions without a value into one line, except spam that was asked for.
    """
    listed = [p for p in stored.positions if include_spam or not p.is_spam]
    # Positions that are not counted may claim any value, so they come last.
    shown = sorted(
        (p for p in listed if not fold or p.value_usd or p.is_spam), key=lambda p: p.not_counted_reason is not None
    )
    lines: list[Text] = []
    if not listed:
        lines.append(Text("No tokens.", style="dim"))
    if most is not None and len(shown) > most:
        lines.append(Text(f"… and {len(shown) - most} smaller positions", style="dim"))
    if folded := len(listed) - len(shown):
        lines.append(Text(f"… and {_count(folded, 'token', 'tokens')} without a value (--all shows)", style="dim"))
    total = Text("Total ", style="bold").append(usd(stored.totals.value_usd))
    return Group(_Positions(shown[:most]), *lines, total, Text(honest_line(stored), style="dim"))


class _Positions:
    """Positions as a table; where that is too wide, as a paragraph each. No width hides anything."""

    def __init__(self, positions: Sequence[Position]) -> None:
        self._rows = [_Row.of(position) for position in positions]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not self._rows:
            return
        # A name may be cut, a number never.
        name_width = max(12, options.max_width // 5)
        name, *columns, note = zip(_HEADER, *self._rows, strict=True)
        width = sum((min(name_width, _widest(name)), *(_GAP + _widest(column) for column in columns)))
        note_width = min(options.max_width - width - _GAP, _widest(note)) if any(note[1:]) else 0
        if width > options.max_width or (any(note[1:]) and note_width < _NOTE_WIDTH):
            for row in self._rows:
                yield from _paragraph(row, options.max_width)
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column(_HEADER.token, no_wrap=True, max_width=name_width)
        table.add_column(_HEADER.chain, no_wrap=True)
        for header in (_HEADER.amount, _HEADER.price, _HEADER.value):
            table.add_column(header, justify="right", no_wrap=True)
        if note_width:
            table.add_column(_HEADER.note, style="yellow", width=note_width)
        for row in self._rows:
            table.add_row(*map(Text, row[: len(table.columns)]))
        yield table


class _Row(NamedTuple):
    """A position in words."""

    token: str
    chain: str
    amount: str
    price: str
    value: str
    note: str

    @classmethod
    def of(cls, position: Position) -> _Row:
        return cls(
            safe_text(position.symbol or position.token),
            CHAIN_BY_ID[position.chain_id].name,
            significant(position.amount),
            _price(position),
            usd(position.value_usd),
            _note(position),
        )


_HEADER = _Row("Token", "Chain", "Amount", "Price", "Value", "Note")


def _widest(cells: Iterable[str]) -> int:
    return max(map(cell_len, cells))


def _paragraph(row: _Row, width: int) -> Iterator[RenderableType]:
    name, chain = Text(row.token, "bold"), f" · {row.chain}"
    name.truncate(max(4, width - cell_len(chain) - cell_len(row.value) - 1), overflow="ellipsis")
    head = Table.grid(expand=True, padding=(0, 1, 0, 0), pad_edge=False)
    head.add_column(no_wrap=True, ratio=1)
    head.add_column(no_wrap=True, justify="right")
    head.add_row(name.append(chain), Text(row.value))
    yield head
    yield Padding(Text(f"{row.amount} at {row.price}"), (0, 0, 0, 2))
    if row.note:
        yield Padding(Text(row.note, style="yellow"), (0, 0, 0, 2))


def honest_line(stored: StoredPortfolio) -> str:
    """What the total is based on and what it omits, in one sentence."""
    totals = stored.totals
    parts = [
        *(_stale_chain(chain) for chain in stored.chains if chain.status == "stale"),
        *_never_read(stored.chains),
        *_left_out(totals.omitted),
    ]
    if stored.chains and totals.complete:
        parts.insert(0, "1 chain read" if len(stored.chains) == 1 else f"All {len(stored.chains)} chains read")
    by_node = ", ".join(CHAIN_BY_ID[chain.chain_id].name for chain in stored.chains if chain.known_tokens_only)
    if by_node:
        parts.append(f"read from your nodes, which do not tell of new tokens: {by_node}")
    return " · ".join(filter(None, parts)) or "Never read."


def _left_out(omitted: Mapping[str, Any]) -> list[str]:
    return [
        _count(omitted["unread"], "token's balance could not be read", "tokens' balances could not be read"),
        _count(omitted["unpriced"], "token has no price", "tokens have no price"),
        _count(
            omitted["lowLiquidity"],
            "position has too little liquidity to be counted",
            "positions have too little liquidity to be counted",
        ),
        _count(
            omitted["flagged"],
            "position has a price that can't be trusted",
            "positions have prices that can't be trusted",
        ),
        _count(omitted["spam"], "spam token hidden", "spam tokens hidden"),
    ]


def _count(number: int, one: str, many: str) -> str:
    return "" if number == 0 else f"{number:,} {one if number == 1 else many}"


def _stale_chain(chain: ChainState) -> str:
    return f"{CHAIN_BY_ID[chain.chain_id].name} as of {chain.synced_at:%Y-%m-%d %H:%M} UTC, it did not answer"


def _never_read(chains: Iterable[ChainState]) -> list[str]:
    """Chains that were never read, grouped by reason."""
    by_reason: dict[str | None, list[str]] = {}
    for chain in chains:
        if chain.status == "never":
            by_reason.setdefault(chain.error, []).append(CHAIN_BY_ID[chain.chain_id].name)
    return [f"never read: {', '.join(names)} ({reason})" for reason, names in by_reason.items()]


def _price(position: Position) -> str:
    if position.price_usd is None:
        return "unknown"
    return f"${significant(position.price_usd)}"


def _note(position: Position) -> str:
    reason = position.not_counted_reason
    notes = [
        *(["stale"] if position.stale else []),
        *(f"{flag} (not counted)" if flag == reason else flag for flag in position.flags),
        *position.spam_reasons,
    ]
    return ", ".join(note.replace("_", " ") for note in notes)
