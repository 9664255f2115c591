"""Binance: direct quotes of large assets, in USDT."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from moonx_pipeline.domain.money import parse_change, parse_price
from moonx_pipeline.providers.bodies import Checked, by_row, read_time
from moonx_pipeline.providers.errors import BadRequest
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.request import Request
from moonx_pipeline.providers.scope import CallScope

_UNKNOWN_SYMBOL: Final = frozenset({-1121, -1220})
_FORGET_SECONDS: Final = 3600.0


class Ticker(NamedTuple):
    """Binance's data about a symbol.

    Attributes:
        price: The last price, in the quote asset.
        change_24h: In percent.
        at: When that was; a symbol that stopped trading keeps its last price forever.
    """

    price: Decimal
    change_24h: Decimal | None
    at: datetime | None


class _Ticker(msgspec.Struct, rename="camel"):
    symbol: str
    last_price: str
    price_change_percent: str | None = None
    close_time: Decimal | None = None


_decode_one = msgspec.json.Decoder(_Ticker)
_decode = by_row(msgspec.json.Decoder(list[_Ticker] | _Ticker), msgspec.json.Decoder(list[msgspec.Raw]), _decode_one)

SYMBOLS_A_CALL: Final = 20
_WEIGHT: Final = 2
"""The weight of a call for up to this many symbols, with their change over 24 hours: half of what prices alone weigh
(https://github.com/binance/binance-spot-api-docs, rest-api.md).
"""


class Binance:
    """Binance's public prices. One instance a process, shared by its threads."""

    def __init__(self, base_url: str, *, http: HttpClient) -> None:
        """Takes Binance's URL; sends nothing yet.

        Args:
            base_url: Such as ``https://api.binance.com``.
            http: The client, with ``binance`` as its provider.
        """
        self._url = f"{base_url.rstrip('/')}/api/v3/ticker/24hr"
        self._http = http
        self._unlisted: dict[str, float] = {}  # symbol → when it may be asked for again

    def prices(self, symbols: Sequence[str], scope: CallScope) -> dict[str, Ticker]:
        """Last prices of the symbols that trade, each in its own quote asset.

        One symbol that Binance does not list fails the whole list, so then each is asked for alone, and an unlisted
        one is not asked for again within the hour.

        Args:
            symbols: Such as ``ETHUSDT``.
            scope: Deadline and tally.

        Raises:
            ProviderError: Binance did not answer.
        """
        now = time.monotonic()
        listed = [symbol for symbol in symbols if self._unlisted.get(symbol, 0.0) <= now]
        found: dict[str, Ticker] = {}
        for start in range(0, len(listed), SYMBOLS_A_CALL):
            found |= self._ask_together(listed[start : start + SYMBOLS_A_CALL], scope, now)
        return found

    def _ask_together(self, symbols: Sequence[str], scope: CallScope, now: float) -> dict[str, Ticker]:
        try:
            return self._ask({"symbols": msgspec.json.encode(symbols).decode()}, scope)
        except BadRequest as error:
            if error.code not in _UNKNOWN_SYMBOL:
                raise
        found: dict[str, Ticker] = {}
        for symbol in symbols:
            try:
                found |= self._ask({"symbol": symbol}, scope)
            except BadRequest:
                self._unlisted[symbol] = now + _FORGET_SECONDS
        return found

    def _ask(self, which: Mapping[str, str], scope: CallScope) -> dict[str, Ticker]:
        answer = Checked("binance", _decode)
        self._http.send(
            Request(
                "GET",
                self._url,
                "ticker/24hr",
                cost=_WEIGHT,
                # A symbol that does not trade keeps its last price forever.
                params={**which, "symbolStatus": "TRADING"},
            ),
            answer,
            scope=scope,
        )
        tickers = answer.value
        prices = {}
        for ticker in tickers if isinstance(tickers, list) else [tickers]:
            try:
                price = parse_price(ticker.last_price)
            except ValueError:
                continue
            if price:
                prices[ticker.symbol] = Ticker(
                    price, parse_change(ticker.price_change_percent), read_time(ticker.close_time)
                )
        return prices
