"""A portfolio as a table in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from moonx_pipeline.domain.chains import CHAIN_BY_ID
from moonx_pipeline.domain.portfolio import Position
from moonx_pipeline.domain.show import safe_text, significant, usd
from moonx_pipeline.storage.portfolios.portfolio import ChainState, StoredPortfolio


def portfolio_table(stored: StoredPortfolio, *, include_spam: bool = False, most: int | None = None) -> Group:
    """The counted positions by value, then the others, the total, and in words what it omits."""
    # Positions that are not counted may claim any value, so they come last.
    shown = sorted(
        (p for p in stored.positions if include_spam or not p.is_spam), key=lambda p: p.not_counted_reason is not None
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("Token", no_wrap=True)
    table.add_column("Chain")
    for column in ("Amount", "Price", "Value"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("Note", style="yellow")
    for position in shown[:most]:
        table.add_row(
            Text(safe_text(position.symbol or position.token)),
            CHAIN_BY_ID[position.chain_id].name,
            significant(position.amount),
            f"{_price(position)}",
            usd(position.value_usd),
            _note(position),
        )
    lines: list[Text] = []
    if not shown:
        lines.append(Text("No tokens.", style="dim"))
    if most is not None and len(shown) > most:
        lines.append(Text(f"… and {len(shown) - most} smaller positions", style="dim"))
    total = Text("Total ", style="bold").append(usd(stored.totals.value_usd))
    return Group(table, *lines, total, Text(honest_line(stored), style="dim"))


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
