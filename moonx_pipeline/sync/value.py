"""Valuing a sync: what is held, what it is called, what it is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Engine

from moonx_pipeline.domain.chains import CHAINS
from moonx_pipeline.domain.events import FailedChain
from moonx_pipeline.domain.holdings import Holding, holdings_after, needs_stored
from moonx_pipeline.domain.portfolio import ChainBalances, ChainOutcome, Position, TokenInfo, TokenKey
from moonx_pipeline.domain.pricing import BookPrice, PriceLimits
from moonx_pipeline.domain.quotes import Quote
from moonx_pipeline.domain.valuation import Totals, totals_of, value_holdings
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.storage.holdings import StoredState, stored_state
from moonx_pipeline.storage.price_book import TokenBook, read_book, write_book
from moonx_pipeline.sync.describe import describe_tokens
from moonx_pipeline.sync.order import OpenSync
from moonx_pipeline.sync.price import ALWAYS_IN_BOOK, price_tokens
from moonx_pipeline.sync.repeat import in_database
from moonx_pipeline.sync.sources import Sources

VALUED_BY: Final = 0.9
"""The share of a sync's time by which metadata and prices are in; the rest is for storing."""


class Valuing(NamedTuple):
    """What positions are made of beyond the readings; kept, so that they can be made again."""

    tokens: Mapping[TokenKey, TokenInfo]
    prices: Mapping[TokenKey, BookPrice]
    limits: PriceLimits


@dataclass(frozen=True, slots=True)
class ValuedSync:
    """A sync, read and valued, ready to be stored.

    Attributes:
        sync: The sync.
        readings: One for each wallet and chain.
        positions: In the order of value.
        totals: Their sum and what it leaves out.
        read_at: When its reading began.
        stored: What was stored before, where the positions depend on it.
        valuing: What the positions were made of.
        outages: Price sources that did not answer, and why.
        scope: Its provider calls.
    """

    sync: OpenSync
    readings: tuple[ChainBalances, ...]
    positions: tuple[Position, ...]
    totals: Totals
    read_at: datetime
    stored: StoredState | None
    valuing: Valuing
    outages: tuple[str, ...]
    scope: CallScope

    def based_on(self, stored: StoredState) -> ValuedSync:
        """The same sync over another stored state, after a later one was stored meanwhile."""
        positions, totals = _value(holdings_after(self.readings, stored.balances), self.readings, self.valuing)
        return replace(self, positions=positions, totals=totals, stored=stored)

    @property
    def unread(self) -> tuple[ChainBalances, ...]:
        """The readings that did not succeed."""
        return tuple(reading for reading in self.readings if reading.outcome is not ChainOutcome.OK)

    @property
    def failed_chains(self) -> tuple[FailedChain, ...]:
        """Chains of which a wallet could not be read, with the first reason and the oldest good reading."""
        failed = []
        for chain in CHAINS:
            readings = [reading for reading in self.unread if reading.chain_id == chain.id]
            if readings:
                since = [self.stored.last_success.get((r.wallet, chain.id)) for r in readings] if self.stored else []
                oldest = min((moment for moment in since if moment is not None), default=None)
                failed.append(FailedChain(chain.id, readings[0].reason or "It did not answer.", oldest))
        return tuple(failed)


def value_sync(
    engine: Engine,
    sources: Sources,
    sync: OpenSync,
    readings: Sequence[ChainBalances],
    *,
    quotes: Mapping[TokenKey, Quote],
    scope: CallScope,
    read_at: datetime,
) -> ValuedSync:
    """Values what was read. A source of prices or metadata that fails leaves gaps, it never raises.

    Args:
        engine: The pipeline's database.
        sources: Where prices and metadata come from.
        sync: The sync.
        readings: One for each wallet and chain.
        quotes: Prices that came along with the balances.
        scope: Tally of the sync's provider calls so far; valuing has a deadline of its own.
        read_at: When its reading began.
    """
    scope = scope.until(sync.after(VALUED_BY))
    wanting = [(reading.wallet, reading.chain_id) for reading in readings if needs_stored(reading)]
    # Each statement by itself: a transaction around them would cost two round trips more.
    autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")

    def read() -> tuple[StoredState | None, list[Holding], set[TokenKey], TokenBook]:
        with autocommit.connect() as connection:
            stored = stored_state(connection, sync.order.user_id, wanting) if wanting else None
            holdings = holdings_after(readings, stored.balances if stored else {})
            keys = {TokenKey(holding.chain_id, holding.token) for holding in holdings}
            return stored, holdings, keys, read_book(connection, keys | ALWAYS_IN_BOOK)

    stored, holdings, keys, book = in_database(sources.repeats, sync.deadline, read)
    known = dict(book.tokens)
    described = describe_tokens(keys, known, readings, sources, sync.breakers, scope)
    known |= {key: info for key, (info, _) in described.items()}
    pricing = price_tokens(
        keys,
        tokens=known,
        book=book.prices,
        quotes=quotes,
        sources=sources,
        breakers=sync.breakers,
        trigger=sync.order.trigger,
        scope=scope,
        now=read_at,
    )
    if described or pricing.learned:

        def write() -> None:
            with autocommit.connect() as connection:
                write_book(connection, tokens=described, prices=pricing.learned)

        in_database(sources.repeats, sync.deadline, write)
    valuing = Valuing(known, pricing.prices, sources.price_limits)
    positions, totals = _value(holdings, readings, valuing)
    return ValuedSync(sync, tuple(readings), positions, totals, read_at, stored, valuing, tuple(pricing.outages), scope)


def _value(
    holdings: Sequence[Holding], readings: Sequence[ChainBalances], valuing: Valuing
) -> tuple[tuple[Position, ...], Totals]:
    positions = value_holdings(holdings, valuing.tokens, valuing.prices, valuing.limits)
    stale = {reading.chain_id for reading in readings if reading.outcome is not ChainOutcome.OK}
    return positions, totals_of(positions, stale)
