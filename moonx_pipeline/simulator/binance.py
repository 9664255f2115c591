"""Binance's tickers."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from moonx_pipeline.simulator.answering import Simulation, answer
from moonx_pipeline.simulator.assets import BINANCE_BASES
from moonx_pipeline.simulator.faults import EMPTY_FAULTS, QUOTE_FAULTS
from moonx_pipeline.simulator.market import SimQuote, binance_base, divided, plain
from moonx_pipeline.simulator.spoiling import Spoiled
from moonx_pipeline.simulator.tokens import TOKENS

_SYMBOLS: Final = re.compile(r'^\[("[A-Z0-9\-_.]{1,50}"(,"[A-Z0-9\-_.]{1,50}"){0,}){0,1}\]$')
_STATUSES: Final = ("TRADING", "HALT", "BREAK")
_TYPES: Final = ("FULL", "MINI")
_ONLY_FULL: Final = ("priceChange", "priceChangePercent", "weightedAvgPrice", "prevClosePrice")
_DAY_MS: Final = 86_400_000
# A pair prices a coin, whatever its contracts: any of them gives the price.
_TOKEN_OF_PAIR: Final = {
    f"{base}USDT": next(token for token in TOKENS.values() if binance_base(token) == base) for base in BINANCE_BASES
}


def _error(code: int, message: str, status: int = 400) -> Response:
    return JSONResponse({"code": code, "msg": message}, status)


_KINDS: Final = EMPTY_FAULTS | QUOTE_FAULTS


class BinanceRoutes:
    """The routes over one simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation

    def routes(self) -> list[Route]:
        return [
            Route("/binance/api/v3/ticker/price", self.price),
            Route("/binance/api/v3/ticker/24hr", self.day),
            Route("/binance/api/v3/ping", lambda _request: JSONResponse({})),
        ]

    async def price(self, request: Request) -> Response:
        return await answer(self._sim, "binance", "ticker/price", lambda: self._ticker(request, "ticker/price"))

    async def day(self, request: Request) -> Response:
        return await answer(self._sim, "binance", "ticker/24hr", lambda: self._ticker(request, "ticker/24hr"))

    def _ticker(self, request: Request, endpoint: str) -> Response:
        query = request.query_params
        one, many, status = query.get("symbol"), query.get("symbols"), query.get("symbolStatus", "TRADING")
        form = query.get("type", "FULL")
        if one and many:
            return _error(-1128, "Combination of optional parameters invalid.")
        if many is not None and not _SYMBOLS.fullmatch(many):
            return _error(-1100, "Illegal characters found in parameter 'symbols'; legal range is '…'.")
        if status not in _STATUSES:
            return _error(-1122, "Invalid symbolStatus.")
        if form not in _TYPES:
            return _error(-1139, "Invalid ticker type.")
        asked: list[str] = [one] if one else json.loads(many) if many else list(_TOKEN_OF_PAIR)
        if len(set(asked)) < len(asked):
            return _error(-1151, "Symbol is present multiple times in the list.")
        if any(symbol not in _TOKEN_OF_PAIR for symbol in asked):
            return _error(-1121, "Invalid symbol.")
        if one and status != "TRADING":
            return _error(-1220, "The symbol's status does not match the requested symbolStatus.")
        spoiled = self._sim.spoiled("binance", endpoint, _KINDS)
        if spoiled.has("null_answer"):
            return JSONResponse(None)
        shown = [] if spoiled.has("empty_answer") or status != "TRADING" else asked
        rows = [row for symbol in shown if (row := self._row(symbol, endpoint, form, spoiled))]
        weight = _weight(endpoint, len(asked) if one or many else None, is_one=bool(one))
        return JSONResponse(rows[0] if one and rows else rows, headers={"X-MBX-USED-WEIGHT-1M": str(weight)})

    def _row(self, symbol: str, endpoint: str, form: str, spoiled: Spoiled) -> dict[str, Any] | None:
        token = _TOKEN_OF_PAIR[symbol]
        quote = spoiled.quote(self._sim.world.quote("binance", token), token)
        if quote is None:  # Binance omits nothing; a pair without trades has the price 0
            quote = SimQuote(Decimal(0), self._sim.world.quoted_at(), Decimal(0))
        last = Decimal(0) if spoiled.has("zero_price", token) else quote.price
        if endpoint == "ticker/price":
            return {"symbol": symbol, "price": plain(last)}
        opened = divided(last, 1 + quote.change_percent / 100)
        closed_at = int(quote.at.timestamp() * 1000)
        row = {
            "symbol": symbol,
            "priceChange": plain(last - opened),
            "priceChangePercent": f"{quote.change_percent:.3f}",
            "weightedAvgPrice": plain(last),
            "prevClosePrice": plain(opened),
            "lastPrice": plain(last),
            "openPrice": plain(opened),
            "highPrice": plain(max(last, opened)),
            "lowPrice": plain(min(last, opened)),
            "volume": "1000.00000000",
            "quoteVolume": plain(last * 1000),
            "openTime": closed_at - _DAY_MS,
            "closeTime": closed_at,
            "firstId": 1,
            "lastId": 218,
            "count": 218,
        }
        return row if form == "FULL" else {name: value for name, value in row.items() if name not in _ONLY_FULL}


def _weight(endpoint: str, symbols: int | None, *, is_one: bool) -> int:
    """Request weight of a call (https://github.com/binance/binance-spot-api-docs, rest-api.md)."""
    if endpoint == "ticker/price":
        return 2 if is_one else 4
    if symbols is None or symbols > 100:
        return 80
    return 2 if symbols <= 20 else 40
