"""Asking the sources of prices, side by side where they do not depend on each other."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from itertools import groupby

from moonx_pipeline.domain.chains import CHAIN_BY_ID, NATIVE_TOKEN
from moonx_pipeline.domain.curated import BINANCE_SYMBOLS, COINGECKO_IDS, CURATED, USDT_KEY
from moonx_pipeline.domain.money import value_of
from moonx_pipeline.domain.pools import Pool, pool_quote
from moonx_pipeline.domain.portfolio import TokenKey
from moonx_pipeline.domain.pricing import USDT_AT_PAR, BookPrice
from moonx_pipeline.domain.quotes import PriceSource, Quote
from moonx_pipeline.providers.errors import ProviderError
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.sync.breaking import ALCHEMY_PRICES, BINANCE, COINGECKO, DEXSCREENER, Breakers
from moonx_pipeline.sync.sources import Sources

MAX_ALCHEMY_ASKED = 100
"""Tokens without any other price that Alchemy is asked about at most, in a sync."""

_POOLS_A_CALL = 30
_PAR = Decimal(1)


class QuoteRound:
    """What the sources say in one sync.

    Attributes:
        quotes: By token, then by source.
        thin: Tokens with pools, none of which is deep enough.
        unanswered: Tokens for which a source that could have answered failed.
        notes: Flags that the reading itself puts on a price.
        outages: Why a source failed, a sentence each.
    """

    def __init__(
        self,
        sources: Sources,
        breakers: Breakers,
        scope: CallScope,
        now: datetime,
        book: Mapping[TokenKey, BookPrice],
        *,
        most_of_alchemy: int = MAX_ALCHEMY_ASKED,
    ) -> None:
        self.quotes: dict[TokenKey, dict[PriceSource, Quote]] = {}
        self.thin: set[TokenKey] = set()
        self.unanswered: set[TokenKey] = set()
        self.notes: dict[TokenKey, tuple[str, ...]] = {}
        self.outages: list[str] = []
        self._sources = sources
        self._submit = sources.executor.submit
        self._call = breakers.call
        self._scope = scope
        self._now = now
        self._book = book
        self._most_of_alchemy = most_of_alchemy

    def add(self, found: Mapping[TokenKey, Quote]) -> None:
        """Takes quotes in."""
        for key, quote in found.items():
            self.quotes.setdefault(key, {})[quote.source] = quote

    def ask(self, curated: Collection[TokenKey], others: Collection[TokenKey]) -> None:
        """Asks for the prices of curated tokens and of others, each of the sources that fit."""
        listings = self._start_listings(others)
        pools = self._start_pools(others)
        self._ask_direct(curated)
        for keys, listing in listings:
            with self._noting_outage(keys):
                found = listing.result()
                self.add({key: found[key.address] for key in keys if key.address in found})
        for keys, pool_call in pools:
            with self._noting_outage(keys):
                self._judge_pools(keys, pool_call.result())
        missing = [key for key in [*sorted(curated), *sorted(others)] if key not in self.quotes]
        self._ask_alchemy(sorted(missing, key=lambda key: not self._was_priced(key)))

    @contextmanager
    def _noting_outage(self, keys: Iterable[TokenKey]) -> Iterator[None]:
        """A source that fails leaves its tokens unanswered; the sync goes on."""
        try:
            yield
        except ProviderError as error:
            self.unanswered.update(keys)
            if str(error) not in self.outages:
                self.outages.append(str(error))

    def _ask_direct(self, curated: Collection[TokenKey]) -> None:
        """Binance for what it quotes; CoinGecko for the rest, and for what Binance did not say."""
        on_binance = [key for key in curated if key in BINANCE_SYMBOLS]
        symbols = sorted({BINANCE_SYMBOLS[key] for key in on_binance})
        direct = (
            self._submit(self._call, BINANCE, self._sources.binance.prices, symbols, self._scope) if symbols else None
        )
        self._ask_coins([key for key in curated if key not in BINANCE_SYMBOLS])
        if direct is not None:
            with self._noting_outage(on_binance):
                self._take_direct(on_binance, direct.result())
            said = {key for key in on_binance if PriceSource.BINANCE in self.quotes.get(key, {})}
            self._ask_coins([key for key in on_binance if key not in said])

    def _take_direct(self, keys: Sequence[TokenKey], prices: Mapping[str, Decimal]) -> None:
        rate = self._usdt_rate()
        for key in keys:
            price = prices.get(BINANCE_SYMBOLS[key])
            if price is not None:
                usd = value_of(price, _PAR if rate is None else rate)
                self.add({key: Quote(PriceSource.BINANCE, usd, None, self._now)})
                if rate is None:
                    self.notes[key] = (USDT_AT_PAR,)

    def _usdt_rate(self) -> Decimal | None:
        """What a USDT is worth in USD: as just said, or as the book has it while it may be used."""
        said = self.quotes.get(USDT_KEY)
        if said:
            return next(iter(said.values())).price_usd
        entry = self._book.get(USDT_KEY)
        if entry is None or self._now - entry.read_at > self._sources.stale_after:
            return None
        return entry.price_usd

    def _ask_coins(self, keys: Collection[TokenKey]) -> None:
        ids = {key: COINGECKO_IDS[key] for key in keys if key in COINGECKO_IDS}
        if ids:
            with self._noting_outage(ids):
                found = self._call(
                    COINGECKO, self._sources.coingecko.coin_prices, sorted(set(ids.values())), self._scope
                )
                self.add({key: found[coin] for key, coin in ids.items() if coin in found})

    def _start_listings(self, keys: Collection[TokenKey]) -> list[tuple[list[TokenKey], Future[dict[str, Quote]]]]:
        """CoinGecko by contract. Without a key it takes one contract a call, which is not worth it."""
        coingecko = self._sources.coingecko
        if not coingecko.has_key:
            return []
        return [
            (
                chunk,
                self._submit(
                    self._call, COINGECKO, coingecko.token_prices, chunk[0].chain_id, _addresses(chunk), self._scope
                ),
            )
            for chunk in _chunks(keys, coingecko.batch_size)
        ]

    def _start_pools(self, keys: Collection[TokenKey]) -> list[tuple[list[TokenKey], Future[list[Pool]]]]:
        pools = self._sources.dexscreener.pools
        return [
            (chunk, self._submit(self._call, DEXSCREENER, pools, chunk[0].chain_id, _addresses(chunk), self._scope))
            for chunk in _chunks(keys, _POOLS_A_CALL)
        ]

    def _judge_pools(self, keys: Sequence[TokenKey], pools: Sequence[Pool]) -> None:
        trusted = self._trusted_quotes(keys[0].chain_id)
        for key in keys:
            mine = [pool for pool in pools if key.address in (pool.base_address, pool.quote_address)]
            quote = pool_quote(
                key, mine, floor_usd=self._sources.liquidity_floor_usd, trusted_quotes=trusted, read_at=self._now
            )
            if quote is not None:
                self.add({key: quote})
            elif mine:
                self.thin.add(key)

    def _trusted_quotes(self, chain_id: int) -> dict[str, Decimal]:
        """Prices of the curated tokens in which a chain's pools are quoted, to weigh their liquidity with."""
        known = {key.address: self._known_price(key) for key in CURATED if key.chain_id == chain_id}
        # The wrapped coin is the native one under a contract.
        known[CHAIN_BY_ID[chain_id].wrapped_native] = known[NATIVE_TOKEN]
        return {address: price for address, price in known.items() if price is not None}

    def _known_price(self, key: TokenKey) -> Decimal | None:
        said, entry = self.quotes.get(key), self._book.get(key)
        if said:
            return next(iter(said.values())).price_usd
        if entry is not None and entry.price_usd is not None:
            return entry.price_usd
        return _PAR if CURATED[key].is_dollar else None

    def _was_priced(self, key: TokenKey) -> bool:
        """Whether the token had a price before, or must have one."""
        entry = self._book.get(key)
        return key in CURATED or (entry is not None and entry.price_usd is not None)

    def _ask_alchemy(self, keys: Sequence[TokenKey]) -> None:
        alchemy = self._sources.alchemy
        served = [key for key in keys if alchemy is not None and alchemy.serves(key.chain_id)]
        asked, left_out = served[: self._most_of_alchemy], served[self._most_of_alchemy :]
        self.unanswered.update(key for key in left_out if self._was_priced(key))
        if alchemy is not None and asked:
            with self._noting_outage(asked):
                self.add(self._call(ALCHEMY_PRICES, alchemy.prices, asked, self._scope))


def _addresses(keys: Iterable[TokenKey]) -> list[str]:
    return [key.address for key in keys]


def _chunks(keys: Iterable[TokenKey], size: int) -> list[list[TokenKey]]:
    """The keys in groups of one chain each, at most ``size`` long."""
    by_chain = [list(group) for _, group in groupby(sorted(keys), key=lambda key: key.chain_id)]
    return [group[start : start + size] for group in by_chain for start in range(0, len(group), size)]
