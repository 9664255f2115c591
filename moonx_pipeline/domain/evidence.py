"""What is known about a token: typed facts, each with its source and times, merged and never replaced wholesale.

A source that fails adds and removes nothing. One that answers without a price has answered, and its last price stays
until it is too old. Verdicts (what a price is, what is spam, what counts) are functions of these facts, in
``pricing``, ``spam`` and ``valuation``.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median_low
from typing import Final, NamedTuple

from moonx_pipeline.domain.quotes import PriceSource, Quote

DEPTH_LIFE: Final = timedelta(hours=24)
"""How long a depth backs a price after it was read: it changes slowly, and prices have an age of their own."""


_TOGETHER: Final = timedelta(hours=1)
"""Quotes of one source that were read within this time are compared: the market moves less than ``_APART`` in it."""

_APART: Final = 2


class DepthState(enum.Enum):
    """How much the pools of a token hold of trusted tokens."""

    DEEP = "deep"  # at least one holds enough
    THIN = "thin"  # all are known, and none holds enough
    UNKNOWN = "unknown"  # there are pools, and what at least one holds is not known


class PoolDepth(NamedTuple):
    """The depth of a token's pools.

    Attributes:
        state: Whether it is enough.
        usd: What they hold in trusted tokens, in USD; ``None`` if unknown.
        at: When they were read.
    """

    state: DepthState
    usd: Decimal | None
    at: datetime


class Accepted(NamedTuple):
    """The last price used without a jump, against which the next one is measured."""

    price_usd: Decimal
    at: datetime


class Evidence(NamedTuple):
    """The facts about one token.

    Attributes:
        quotes: The last price of each source that ever had one.
        answered: When each source last answered about the token, with a price or with none.
        depth: The depth of its pools, if any were seen.
        accepted: Its last accepted price.
    """

    quotes: Mapping[PriceSource, Quote]
    answered: Mapping[PriceSource, datetime]
    depth: PoolDepth | None = None
    accepted: Accepted | None = None

    @property
    def is_measured(self) -> bool:
        """Whether the depth of its pools was ever known."""
        return self.depth is not None and self.depth.state is not DepthState.UNKNOWN

    @property
    def is_without_pools(self) -> bool:
        """Whether the source that knows pools has answered, and never knew one."""
        return self.depth is None and PriceSource.DEXSCREENER in self.answered

    def depth_now(self, now: datetime) -> PoolDepth | None:
        """The depth that is still believed: a thin one until an answer contradicts it, any other for a day."""
        depth = self.depth
        if depth is None or depth.state is DepthState.THIN or now - depth.at <= DEPTH_LIFE:
            return depth
        return None


NO_EVIDENCE: Final = Evidence({}, {})


def found(source: PriceSource, at: datetime, quote: Quote | None = None, depth: PoolDepth | None = None) -> Evidence:
    """The evidence in one source's answer about a token, all of it read at the same time."""
    return Evidence({source: quote._replace(read_at=at)} if quote else {}, {source: at}, depth)


def merge(known: Evidence, new: Evidence) -> Evidence:
    """Merges two states of knowledge: for each datum the later one wins, and at equal times the new one."""
    return Evidence(
        _latest_quotes([known.quotes, new.quotes]),
        {
            source: max(filter(None, (known.answered.get(source), new.answered.get(source))))
            for source in {**known.answered, **new.answered}
        },
        _merged_depth(known.depth, new.depth),
        max(filter(None, (new.accepted, known.accepted)), key=lambda accepted: accepted.at, default=None),
    )


def with_quotes_of(evidence: Evidence, others: Iterable[Evidence]) -> Evidence:
    """A token's evidence with the quotes of tokens that are worth the same, the latest of each source.

    A source may price one of them by a pool that somebody poisoned. So a quote far from what the same source said of
    the others at the time is left out; of two, the higher one.
    """
    parts = [*(other.quotes for other in others), evidence.quotes]
    return evidence._replace(quotes=_latest_quotes(_without_outliers(parts)))


def _without_outliers(parts: Iterable[Mapping[PriceSource, Quote]]) -> list[dict[PriceSource, Quote]]:
    kept = [dict(part) for part in parts]
    for source in {source for part in kept for source in part}:
        said = [part[source] for part in kept if source in part]
        latest = max(quote.read_at for quote in said)
        middle = median_low(quote.price_usd for quote in said if latest - quote.read_at <= _TOGETHER)
        for part in kept:
            if source in part and not _is_near(part[source].price_usd, middle):
                del part[source]
    return kept


def _is_near(one: Decimal, other: Decimal) -> bool:
    low, high = sorted((one, other))
    return high <= low * _APART


def _latest_quotes(parts: Iterable[Mapping[PriceSource, Quote]]) -> dict[PriceSource, Quote]:
    """The latest quote of each source; at equal times that of the later part."""
    latest: dict[PriceSource, Quote] = {}
    for part in parts:
        for source, quote in part.items():
            before = latest.get(source)
            if before is None or quote.read_at >= before.read_at:
                latest[source] = quote
    return latest


def _merged_depth(known: PoolDepth | None, new: PoolDepth | None) -> PoolDepth | None:
    """The later depth; an unknown one never replaces a known one, which however old still bounds what counts."""
    if known is None or new is None:
        return known or new
    told = [depth for depth in (new, known) if depth.state is not DepthState.UNKNOWN]
    return max(told or (new, known), key=lambda depth: depth.at)
