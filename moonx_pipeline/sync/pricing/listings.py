"""Prices of listed coins and contracts: Binance's direct quotes, and CoinGecko's listings."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from concurrent.futures import Future

from moonx_pipeline.domain.money import value_of
from moonx_pipeline.domain.portfolio import TokenKey
from moonx_pipeline.domain.providers import BINANCE, COINGECKO
from moonx_pipeline.domain.quotes import PriceSource, Quote
from moonx_pipeline.providers.binance import Ticker
from moonx_pipeline.providers.coingecko import COINS_A_CALL
from moonx_pipeline.sync.pricing.lookups import Asking, addresses_of, by_chain, in_parts

ListingCalls = list[tuple[list[TokenKey], Future[dict[str, Quote]]]]
"""Calls in progress, each with its tokens."""


class Listings:
    """Asks for listed prices; started calls run beside others until their results are taken in."""

    def __init__(self, ask: Asking) -> None:
        """Prepares to ask; no call is made yet."""
        self._ask = ask
        self._coins_asked: set[TokenKey] = set()

    def start_binance(self, keys: Collection[TokenKey]) -> Future[dict[str, Ticker]] | None:
        symbols = sorted({self._ask.market.identity(key).binance_symbol or "" for key in keys})
        if not symbols:
            return None
        return self._ask.start(BINANCE.id, self._ask.providers.binance.prices, symbols)

    def take_binance(self, keys: Collection[TokenKey], call: Future[dict[str, Ticker]] | None) -> None:
        """Takes in direct quotes once USDT's rate is known; asks CoinGecko for what Binance lacks."""
        if call is None:
            return
        unsaid = set(keys)
        with self._ask.noting_outage():
            tickers = call.result()
            symbol_of = {key: self._ask.market.identity(key).binance_symbol or "" for key in keys}
            quotes = {key: self._in_usd(tickers.get(symbol)) for key, symbol in symbol_of.items()}
            self._ask.learn(PriceSource.BINANCE, keys, quotes)
            unsaid = {key for key, quote in quotes.items() if quote is None or self._is_outdated(quote)}
        due = (key for key in unsaid if self._ask.market.is_due(key, PriceSource.COINGECKO))
        self.take_coins(self.start_coins([key for key in due if self._ask.market.identity(key).coingecko_id]))

    def _is_outdated(self, quote: Quote) -> bool:
        """Whether a pair has stopped trading: Binance keeps its last price forever."""
        market = self._ask.market
        return quote.price_at is not None and market.now - quote.price_at > market.limits.max_age

    def _in_usd(self, ticker: Ticker | None) -> Quote | None:
        if ticker is None:
            return None
        rate, now = self._ask.market.usdt_rate(), self._ask.market.now
        usd = ticker.price if rate is None else value_of(ticker.price, rate)
        return Quote(PriceSource.BINANCE, usd, ticker.at, now, ticker.change_24h, at_par=rate is None)

    def start_coins(self, keys: Collection[TokenKey]) -> ListingCalls:
        """Asks CoinGecko by the ids of coins, hundreds per call."""
        self._coins_asked.update(keys)
        by_id: dict[str, list[TokenKey]] = {}
        for key in sorted(keys):
            by_id.setdefault(self._ask.market.identity(key).coingecko_id or "", []).append(key)
        ids = sorted(by_id)
        return [
            (
                [key for coin in part for key in by_id[coin]],
                self._ask.start(COINGECKO.id, self._ask.providers.coingecko.coin_prices, part),
            )
            for part in in_parts(ids, COINS_A_CALL)
        ]

    def start_second_opinions(self, keys: Iterable[TokenKey]) -> ListingCalls:
        """Asks CoinGecko about coins that only Binance was asked about so far."""
        market = self._ask.market
        return self.start_coins(
            [
                key
                for key in keys
                if key not in self._coins_asked
                and market.identity(key).coingecko_id
                and market.is_due(key, PriceSource.COINGECKO)
            ]
        )

    def take_coins(self, calls: ListingCalls) -> None:
        for keys, call in calls:
            with self._ask.noting_outage():
                prices = call.result()
                self._ask.learn(
                    PriceSource.COINGECKO,
                    keys,
                    {key: prices.get(self._ask.market.identity(key).coingecko_id or "") for key in keys},
                )

    def start_contracts(self, keys: Collection[TokenKey]) -> ListingCalls:
        """Asks CoinGecko by contract."""
        coingecko = self._ask.providers.coingecko
        return [
            (part, self._ask.start(COINGECKO.id, coingecko.token_prices, part[0].chain_id, addresses_of(part)))
            for part in by_chain(keys, coingecko.batch_size)
        ]

    def take_contracts(self, calls: ListingCalls) -> None:
        """Takes in prices by contract."""
        for keys, call in calls:
            with self._ask.noting_outage():
                prices = call.result()
                self._ask.learn(PriceSource.COINGECKO, keys, {key: prices.get(key.address) for key in keys})
