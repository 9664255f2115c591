"""What positions are made of beyond the readings: the names and prices of tokens, known or asked for."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from sqlalchemy import Engine

from moonx_pipeline.domain.evidence import found
from moonx_pipeline.domain.holdings import Holding
from moonx_pipeline.domain.market import ALWAYS_KNOWN, Known, Market
from moonx_pipeline.domain.money import amount_of, value_of
from moonx_pipeline.domain.portfolio import ChainBalances, TokenKey
from moonx_pipeline.domain.quotes import Quote
from moonx_pipeline.domain.valuation import Valuer
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.storage.token_book import TokenBook, read_book, write_book
from moonx_pipeline.sync.describe import describe_tokens, undescribed
from moonx_pipeline.sync.order import OpenSync
from moonx_pipeline.sync.price import PricePlan, max_price_age, plan_prices
from moonx_pipeline.sync.quotes import QuoteRound
from moonx_pipeline.sync.repeat import in_database
from moonx_pipeline.sync.sources import Sources, Turns

_LONGEST_TURN: Final = 3.0
"""Seconds. What has waited so long asks beside the other, which may hang or be a run that was cancelled."""


@dataclass(frozen=True, slots=True)
class Appraisal:
    """One appraisal of what syncs hold.

    Attributes:
        database: In autocommit mode.
        sources: Whom to ask.
        sync: One of the syncs for which it is asked.
        keys: The tokens that they hold.
        syncs: Of how many users they are; so much more may be asked for.
        holdings: Who holds how much of them; what nobody holds much of is asked for less often.
        readings: Metadata that came along with the balances.
        quotes: Prices that came along with the balances.
        scope: Deadline and tally.
        now: The time of reading.
    """

    database: Engine
    sources: Sources
    sync: OpenSync
    keys: Collection[TokenKey]
    syncs: int
    holdings: Sequence[Holding]
    readings: Sequence[ChainBalances]
    quotes: Mapping[TokenKey, Quote]
    scope: CallScope
    now: datetime

    def value_by(self, book: TokenBook, book_at: float) -> tuple[Valuer, tuple[str, ...]]:
        """Names and prices of the tokens; what the book does not know, or too long ago, is asked for and put into it.

        Args:
            book: What is stored of ``keys`` and of ``ALWAYS_KNOWN``.
            book_at: ``time.monotonic()`` before it was read.

        Returns:
            What values the holdings, and why sources of prices did not answer.
        """
        market = self._market(book)
        if not self._has_to_ask(book, market):
            return Valuer(book.tokens, market), ()
        with _turn(self.sources.asking, self.scope):
            if self.sources.asking.ended > book_at:
                # Another has asked since, and for much of the same.
                book = self._read({*self.keys, *ALWAYS_KNOWN})
                market = self._market(book)
            plan = self._plan(book, market)
            asking = QuoteRound(
                market,
                self.sources,
                self.sync.breakers,
                self.scope,
                read_known=self._read_known,
                syncs=self.syncs,
            )
            asking.ask(plan)
            described = describe_tokens(
                set(self.keys),
                book,
                self.readings,
                market,
                self.sources,
                self.sync.breakers,
                self.scope,
                syncs=self.syncs,
            )
            if described or market.learned:

                def write() -> None:
                    with self.database.connect() as connection:
                        write_book(connection, tokens=described, evidence=market.learned)

                in_database(self.sources.repeats, self.sync.deadline, write)
                self.sources.asking.ended = time.monotonic()
        tokens = book.tokens | {key: what.info for key, what in described.items()}
        return Valuer(tokens, market), tuple(asking.outages)

    def _market(self, book: TokenBook) -> Market:
        fresh_for = max_price_age(self.sources, self.sync.order.trigger)
        market = Market(
            book.known,
            now=self.now,
            limits=self.sources.price_limits,
            fresh_for=fresh_for,
            old_after=self.sources.fresh_for,
        )
        market.weigh(_worth(self.holdings, book, market, fresh_for))
        for key, quote in self.quotes.items():
            if key in book.known:
                market.learn(key, found(quote.source, self.now, quote))
        return market

    def _plan(self, book: TokenBook, market: Market) -> PricePlan:
        return plan_prices(
            self.keys, market, self.sources, tokens=book.tokens, quoted=self.quotes.keys(), syncs=self.syncs
        )

    def _has_to_ask(self, book: TokenBook, market: Market) -> bool:
        plan = self._plan(book, market)
        market.waiting = plan.waiting
        return bool(plan.asked or market.learned) or undescribed(set(self.keys), book, self.readings, market)

    def _read(self, keys: Collection[TokenKey]) -> TokenBook:
        def read() -> TokenBook:
            with self.database.connect() as connection:
                return read_book(connection, keys)

        return in_database(self.sources.repeats, self.sync.deadline, read)

    def _read_known(self, keys: Collection[TokenKey]) -> Mapping[TokenKey, Known]:
        return self._read(keys).known


@contextmanager
def _turn(turns: Turns, scope: CallScope) -> Iterator[None]:
    """Syncs side by side in one process ask one after the other, since they ask for the same."""
    taken = turns.lock.acquire(timeout=min(_LONGEST_TURN, scope.remaining()))
    try:
        yield
    finally:
        if taken:
            turns.lock.release()


def _worth(
    holdings: Iterable[Holding], book: TokenBook, market: Market, fresh_for: timedelta
) -> dict[TokenKey, Decimal]:
    """What the largest holding of each token is worth by the book, for those whose price is not fresh."""
    aged: dict[TokenKey, tuple[Decimal, int]] = {}
    for key, known in book.known.items():
        quotes, info = known.evidence.quotes, book.tokens.get(key)
        if not quotes or info is None or info.decimals is None or market.identity(key).is_major:
            continue
        latest = max(quotes.values(), key=lambda quote: quote.read_at)
        if market.now - latest.read_at > fresh_for:
            aged[key] = (latest.price_usd, info.decimals)
    worth: dict[TokenKey, Decimal] = {}
    if not aged:
        return worth
    for holding in holdings:
        key = TokenKey(holding.chain_id, holding.token)
        if key in aged:
            price_usd, decimals = aged[key]
            worth[key] = max(worth.get(key, Decimal(0)), value_of(amount_of(holding.balance, decimals), price_usd))
    return worth
