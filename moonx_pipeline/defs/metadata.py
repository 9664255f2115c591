"""A run's metadata for operators: counts, totals, costs, and the portfolio as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import dagster as dg

from moonx_pipeline.defs.markdown import markdown_text
from moonx_pipeline.domain.chains import CHAIN_BY_ID
from moonx_pipeline.domain.events import rfc3339
from moonx_pipeline.domain.money import plain
from moonx_pipeline.domain.portfolio import ChainBalances, Position
from moonx_pipeline.domain.show import safe_text, usd
from moonx_pipeline.sync.protection.breakers import Breakers
from moonx_pipeline.sync.store import StoredSync
from moonx_pipeline.sync.value import ValuedSync

_ROWS = 50

Metadata = dict[str, Any]


def chain_metadata(readings: Sequence[ChainBalances]) -> Metadata:
    """One chain's outcomes, sources, tokens and reasons, over the user's wallets."""
    return {
        "outcome": ", ".join(sorted({reading.outcome.value for reading in readings})),
        "source": ", ".join(sorted({reading.source for reading in readings if reading.source})) or "none",
        "tokens": sum(len(reading.balances) for reading in readings),
        "unreadable_tokens": sum(len(reading.unknown) for reading in readings),
        **{f"reason {reading.wallet}": reading.reason for reading in readings if reading.reason},
    }


def breaker_metadata(breakers: Breakers) -> Metadata:
    """The breakers that are not closed: since when, until when, why."""
    return {
        f"breaker {standing.key}": f"{standing.state.replace('_', '-')} since {_time(standing.opened_at)}, next probe "
        f"{_time(standing.retry_at)}, {standing.cause}: {standing.last_error}"
        for standing in breakers.not_closed
    }


def _time(moment: datetime | None) -> str:
    return rfc3339(moment) if moment else "unknown"


def valued_metadata(valued: ValuedSync) -> Metadata:
    """The portfolio and what it cost to read."""
    totals, scope = valued.totals, valued.scope
    calls = Counter(call.provider for call in scope.calls)
    return {
        "total_value_usd": usd(totals.value_usd),
        "positions": len(valued.positions),
        "counted": totals.counted,
        "unpriced": totals.unpriced,
        "spam": totals.spam,
        "flagged": totals.flagged,
        "stale_chains": ", ".join(CHAIN_BY_ID[chain_id].name for chain_id in totals.stale_chains) or "none",
        "provider_calls": len(scope.calls),
        "compute_units": scope.compute_units,
        "seconds_waited_for_rate_limits": round(sum(scope.waits), 3),
        **{f"calls {provider}": count for provider, count in sorted(calls.items())},
        "price_outages": list(valued.outages),
        "portfolio": dg.MetadataValue.md(portfolio_table(valued.positions)),
    }


def outcome_metadata(valued: ValuedSync, stored: StoredSync) -> Metadata:
    """The whole sync, for its materialization."""
    ended = valued.sync.ref
    return {
        **valued_metadata(valued),
        "status": stored.status,
        "version": stored.version,
        "changed": stored.changed,
        "operation": str(stored.operation_id),
        "trigger": ended.trigger,
        "seconds": round(stored.duration_ms / 1000, 3),
    }


def outcome_line(valued: ValuedSync, stored: StoredSync) -> str:
    """The whole sync in one line."""
    return (
        f"{stored.status} in {stored.duration_ms / 1000:.2f} s: {usd(valued.totals.value_usd)}, "
        f"{len(valued.positions)} positions, {'changed' if stored.changed else 'unchanged'}, "
        f"{len(valued.scope.calls)} provider calls, {valued.scope.compute_units} compute units"
    )


def portfolio_table(positions: Sequence[Position]) -> str:
    """The largest positions that are not spam, as Markdown."""
    shown = [position for position in positions if not position.is_spam]
    lines = ["| token | chain | amount | price | value |", "| --- | --- | ---: | ---: | ---: |"]
    lines += [_line(position) for position in shown[:_ROWS]]
    if len(shown) > _ROWS:
        lines.append(f"| … and {len(shown) - _ROWS} more | | | | |")
    return "\n".join(lines)


def _line(p: Position) -> str:
    marks = ["stale"] * p.stale + list(p.flags)
    name = markdown_text(safe_text(p.symbol or p.token))
    price = f"{_or_unknown(p.price_usd)} ({p.price_source})" if p.price_source else "unknown"
    return (
        f"| {name}{' · ' + ', '.join(marks) if marks else ''} | {CHAIN_BY_ID[p.chain_id].name} "
        f"| {_or_unknown(p.amount)} | {price} | {usd(p.value_usd)} |"
    )


def _or_unknown(number: Decimal | None) -> str:
    return "unknown" if number is None else plain(number)
