"""Names and prices of tokens for positions: read from the database, or looked up."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from moonx_pipeline.domain.evidence import found
from moonx_pipeline.domain.holdings import Holding
from moonx_pipeline.domain.market import ALWAYS_KNOWN, Known, Market
from moonx_pipeline.domain.money import amount_of, value_of
from moonx_pipeline.domain.portfolio import ChainBalances, TokenKey
from moonx_pipeline.domain.quotes import Quote
from moonx_pipeline.domain.valuation import Valuer
from moonx_pipeline.domain.vault_shares import VaultShare, redemption_of
from moonx_pipeline.storage.tokens.token_store import FetchedMetadata, TokenStore, read_tokens, write_tokens
from moonx_pipeline.sync.calls import ProviderCalls
from moonx_pipeline.sync.pricing.metadata import fetch_metadata, lacks_metadata
from moonx_pipeline.sync.pricing.plan import PricePlan, max_price_age, plan_prices
from moonx_pipeline.sync.pricing.quote_round import QuoteRound
from moonx_pipeline.sync.runtime import Runtime

_LONGEST_WAIT: Final = 3.0
"""Seconds. After this wait a sync looks up in parallel: the one ahead may hang or be cancelled."""


class Asked(NamedTuple):
    """What price sources were asked about earlier in the same syncs, so that they are not asked again.

    Attributes:
        keys: The tokens.
        outages: Why price sources failed.
    """

    keys: frozenset[TokenKey]
    outages: tuple[str, ...]


NOTHING_ASKED: Final = Asked(frozenset(), ())


@dataclass(frozen=True, slots=True)
class TokenDemand:
    """The tokens whose names and prices syncs need.

    Attributes:
        keys: The tokens, with those that shares among them are redeemable for.
        shares: Shares among them.
        holdings: Who holds how much of them; prices of small holdings may be older.
        readings: Readings with the metadata that came with the balances.
        quotes: Prices that came with the balances.
        syncs: The number of users; multiplies how many tokens may be asked for.
        trigger: What started the syncs; a user who asks sees fresher prices.
        now: The time of the reading.
        asked: What sources were asked about already.
    """

    keys: Collection[TokenKey]
    shares: Mapping[TokenKey, VaultShare]
    holdings: Sequence[Holding]
    readings: Sequence[ChainBalances]
    quotes: Mapping[TokenKey, Quote]
    syncs: int
    trigger: str
    now: datetime
    asked: Asked = NOTHING_ASKED


@dataclass(frozen=True, slots=True)
class Enrichment:
    """Provides names and prices for what syncs hold.

    Attributes:
        runtime: The database, the providers and the rules.
        calls: Calls to the providers.
        demand: The tokens.
        deadline: ``time.monotonic()`` after which the database is not tried again.
    """

    runtime: Runtime
    calls: ProviderCalls
    demand: TokenDemand
    deadline: float

    def value_by(self, book: TokenStore, read_at_start: float) -> tuple[Valuer, tuple[str, ...]]:
        """Names and prices the tokens; looks up and stores what is unknown or too old.

        Args:
            book: What is stored about the tokens and about ``ALWAYS_KNOWN``.
            read_at_start: ``time.monotonic()`` before ``book`` was read.

        Returns:
            The valuer of the holdings, and why price sources failed.
        """
        known, earlier = self._look(book), self.demand.asked.outages
        if not self._has_to_look_up(known):
            return Valuer(known.book.tokens, known.market), earlier
        with self._alone(known, read_at_start) as (book, market, plan):
            asking = self._ask(market, plan)
            described = fetch_metadata(
                set(self.demand.keys),
                book,
                self.demand.readings,
                market,
                self.calls,
                most=self.runtime.policy.most_metadata * self.demand.syncs,
            )
            self._store(described, market)
        tokens = book.tokens | {key: what.info for key, what in described.items()}
        return Valuer(tokens, market), tuple(dict.fromkeys((*earlier, *asking.outages)))

    def ask_prices(self, book: TokenStore, read_at_start: float) -> Asked:
        """Asks for prices that are too old, and stores them; see ``value_by``."""
        known = self._look(book)
        if not known.plan.asked:
            return NOTHING_ASKED
        with self._alone(known, read_at_start) as (_, market, plan):
            asking = self._ask(market, plan)
            self._store({}, market)
        return Asked(plan.asked, tuple(asking.outages))

    @contextmanager
    def _alone(self, known: _Known, read_at_start: float) -> Iterator[_Known]:
        """Serializes the look-ups of this process, since concurrent syncs ask for the same tokens.

        Gives what is known then: another sync may have looked up much of the same.
        """
        lookups = self.runtime.providers.lookups
        taken = lookups.lock.acquire(timeout=min(_LONGEST_WAIT, self.calls.scope.remaining()))
        try:
            is_old = lookups.ended > read_at_start
            yield self._look(self._read({*self.demand.keys, *ALWAYS_KNOWN})) if is_old else known
        finally:
            if taken:
                lookups.lock.release()

    def _look(self, book: TokenStore) -> _Known:
        market = self._market(book)
        return _Known(book, market, self._plan(book, market))

    def _ask(self, market: Market, plan: PricePlan) -> QuoteRound:
        asking = QuoteRound(market, self.calls, read_known=self._read_known, syncs=self.demand.syncs)
        asking.ask(plan)
        return asking

    def _store(self, described: Mapping[TokenKey, FetchedMetadata], market: Market) -> None:
        if described or market.learned:
            self.runtime.db.transaction(self.deadline, write_tokens, tokens=described, evidence=market.learned)
            self.runtime.providers.lookups.ended = time.monotonic()

    def _market(self, book: TokenStore) -> Market:
        policy, demand = self.runtime.policy, self.demand
        fresh_for = max_price_age(policy, demand.trigger)
        market = Market(
            book.known,
            now=demand.now,
            limits=policy.price_limits,
            fresh_for=fresh_for,
            old_after=policy.fresh_for,
        )
        market.weigh(_worth(demand.holdings, book, market, fresh_for))
        market.redeem(
            {
                key: redemption
                for key, share in demand.shares.items()
                if (redemption := redemption_of(key, share, book.tokens, demand.now)) is not None
            }
        )
        for key, quote in demand.quotes.items():
            if key in book.known:
                market.learn(key, found(quote.source, demand.now, quote))
        return market

    def _plan(self, book: TokenStore, market: Market) -> PricePlan:
        plan = plan_prices(
            self.demand.keys,
            market,
            self.runtime.policy,
            has_coingecko_key=self.runtime.providers.coingecko.has_key,
            tokens=book.tokens,
            quoted=self.demand.quotes.keys(),
            syncs=self.demand.syncs,
        )
        return plan.without(self.demand.asked.keys)

    def _has_to_look_up(self, known: _Known) -> bool:
        book, market, plan = known
        market.waiting = plan.waiting
        if plan.asked or market.learned:
            return True
        return lacks_metadata(set(self.demand.keys), book, self.demand.readings, market)

    def _read(self, keys: Collection[TokenKey]) -> TokenStore:
        return self.runtime.db.read(self.deadline, read_tokens, keys)

    def _read_known(self, keys: Collection[TokenKey]) -> Mapping[TokenKey, Known]:
        return self._read(keys).known


class _Known(NamedTuple):
    """What is stored about the tokens, the market of it, and what is still to be asked."""

    book: TokenStore
    market: Market
    plan: PricePlan


def _worth(
    holdings: Iterable[Holding], book: TokenStore, market: Market, fresh_for: timedelta
) -> dict[TokenKey, Decimal]:
    """The value of the largest holding of each token by the stored price, for tokens whose price is not fresh."""
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
