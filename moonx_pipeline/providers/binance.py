"""Binance: direct quotes of large assets, in USDT."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from moonx_pipeline.domain.money import parse_price
from moonx_pipeline.providers.bodies import checked
from moonx_pipeline.providers.errors import BadRequest
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.scope import CallScope

_UNKNOWN_SYMBOL: Final = frozenset({-1121, -1220})
_FORGET_SECONDS: Final = 3600.0


class _Ticker(msgspec.Struct):
    symbol: str
    price: str


_decode = msgspec.json.Decoder(list[_Ticker] | _Ticker).decode


# Request weight by how symbols are named (https://github.com/binance/binance-spot-api-docs, rest-api.md).
_WEIGHT: Final = {"symbol": 2, "symbols": 4}


class Binance:
    """Binance's public prices. One instance a process, shared by its threads."""

    def __init__(self, base_url: str, *, http: HttpClient) -> None:
        """Takes where Binance is; nothing is sent yet.

        Args:
            base_url: Such as ``https://api.binance.com``.
            http: Connections, whose provider is ``binance``.
        """
        self._url = f"{base_url.rstrip('/')}/api/v3/ticker/price"
        self._http = http
        self._unlisted: dict[str, float] = {}  # symbol → when it may be asked for again

    def prices(self, symbols: Sequence[str], scope: CallScope) -> dict[str, Decimal]:
        """Last prices of the symbols that trade, each in its own quote asset.

        One symbol that Binance does not list fails the whole list, so then each is asked for by itself, and
        one that is not listed is not asked for again within the hour.

        Args:
            symbols: Such as ``ETHUSDT``.
            scope: Deadline and tally.

        Raises:
            ProviderError: Binance did not answer.
        """
        now = time.monotonic()
        listed = [symbol for symbol in symbols if self._unlisted.get(symbol, 0.0) <= now]
        if not listed:
            return {}
        try:
            return self._ask({"symbols": msgspec.json.encode(listed).decode()}, scope)
        except BadRequest as error:
            if error.code not in _UNKNOWN_SYMBOL:
                raise
        found: dict[str, Decimal] = {}
        for symbol in listed:
            try:
                found |= self._ask({"symbol": symbol}, scope)
            except BadRequest:
                self._unlisted[symbol] = now + _FORGET_SECONDS
        return found

    def _ask(self, which: Mapping[str, str], scope: CallScope) -> dict[str, Decimal]:
        body = self._http.send(
            "GET",
            self._url,
            scope=scope,
            endpoint="ticker/price",
            cost=_WEIGHT[next(iter(which))],
            # One that does not trade keeps its last price for ever.
            params={**which, "symbolStatus": "TRADING"},
            classify=checked("binance", _decode),
        )
        tickers = _decode(body)
        prices = {}
        for ticker in tickers if isinstance(tickers, list) else [tickers]:
            try:
                price = parse_price(ticker.price)
            except ValueError:
                continue
            if price:
                prices[ticker.symbol] = price
        return prices
