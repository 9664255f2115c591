"""The documented HTTP of Binance, CoinGecko and DexScreener."""

from __future__ import annotations

import json
import re
from decimal import Context, Decimal
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from moonx_pipeline.domain.chains import CHAIN_BY_ID
from moonx_pipeline.domain.curated import COINGECKO_IDS, CURATED
from moonx_pipeline.domain.money import plain
from moonx_pipeline.simulator.answering import Simulation, answer
from moonx_pipeline.simulator.tokens import SimToken, derived_address

_PLATFORMS: Final = {"ethereum": 1, "polygon-pos": 137, "optimistic-ethereum": 10, "arbitrum-one": 42161, "base": 8453}
_DEX_CHAINS: Final = {"ethereum": 1, "polygon": 137, "optimism": 10, "arbitrum": 42161, "base": 8453}
_BINANCE: Final = (
    "ETH",
    "POL",
    "USDC",
    "WBTC",
    "LINK",
    "UNI",
    "AAVE",
    "ARB",
    "OP",
    "LDO",
    "CRV",
    "GMX",
    "SHIB",
    "PEPE",
)
_SYMBOLS: Final = re.compile(r'^\[("[A-Z0-9\-_.]{1,50}"(,"[A-Z0-9\-_.]{1,50}"){0,}){0,1}\]$')
_COIN_OF_ID: Final = {coin: CURATED[key].symbol for key, coin in COINGECKO_IDS.items()}
_POOLS_AN_ANSWER: Final = 30
_WIDE: Final = Context(prec=24)


def _binance_error(code: int, message: str, status: int = 400) -> Response:
    return JSONResponse({"code": code, "msg": message}, status)


class PriceRoutes:
    """The routes over one simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation

    def routes(self) -> list[Route]:
        return [
            Route("/binance/api/v3/ticker/price", self.ticker),
            Route("/binance/api/v3/ping", lambda _request: JSONResponse({})),
            Route("/coingecko/api/v3/simple/price", self.coins),
            Route("/coingecko/api/v3/simple/token_price/{platform}", self.contracts),
            Route("/coingecko/api/v3/ping", lambda _request: JSONResponse({"gecko_says": "(V3) To the Moon!"})),
            Route("/dexscreener/tokens/v1/{chain}/{addresses}", self.pools),
            Route("/dexscreener/latest/dex/tokens/{addresses}", self.pools_of_all_chains),
        ]

    async def ticker(self, request: Request) -> Response:
        return await answer(self._sim, "binance", "ticker/price", lambda: self._ticker(request))

    def _ticker(self, request: Request) -> Response:
        one, many = request.query_params.get("symbol"), request.query_params.get("symbols")
        if one and many:
            return _binance_error(-1128, "Combination of optional parameters invalid.")
        if many is not None and not _SYMBOLS.fullmatch(many):
            return _binance_error(-1100, "Illegal characters found in parameter 'symbols'; legal range is '…'.")
        table = {f"{base}USDT": self._in_usdt(base) for base in _BINANCE}
        asked: list[str] = [one] if one else json.loads(many) if many else list(table)
        if len(set(asked)) < len(asked):
            return _binance_error(-1151, "Symbol is present multiple times in the list.")
        if any(symbol not in table for symbol in asked):
            return _binance_error(-1121, "Invalid symbol.")
        rows = [{"symbol": symbol, "price": table[symbol]} for symbol in asked]
        return JSONResponse(rows[0] if one else rows, headers={"X-MBX-USED-WEIGHT-1M": "4"})

    def _in_usdt(self, base: str) -> str:
        prices = self._sim.world.prices
        return plain(_WIDE.divide(prices[base], prices["USDT"]))

    async def coins(self, request: Request) -> Response:
        def good() -> Response:
            if "vs_currencies" not in request.query_params:
                return JSONResponse({"error": "Missing parameter vs_currencies"}, 422)
            ids = request.query_params.get("ids", "").split(",")
            found = {coin: self._listing(_COIN_OF_ID[coin]) for coin in ids if coin in _COIN_OF_ID}
            return _json_numbers(found)

        return await answer(self._sim, "coingecko", "simple/price", good)

    async def contracts(self, request: Request) -> Response:
        def good() -> Response:
            addresses = [a.lower() for a in request.query_params.get("contract_addresses", "").split(",")]
            most = self._sim.contracts_a_call
            if len(addresses) > most:
                message = f"Number of contract addresses in the request exceeds the allowed limit ({most} addresses)."
                return JSONResponse({"error_code": 10012, "status": {"error_message": message}}, 400)
            chain_id = _PLATFORMS.get(request.path_params["platform"])
            if chain_id is None:
                return JSONResponse({"error": "coin not found"}, 404)
            tokens = [self._sim.world.token(chain_id, address) for address in addresses]
            listed = [token for token in tokens if token is not None and token.listed and token.price]
            return _json_numbers({token.address: self._listing(token.price or "") for token in listed})

        return await answer(self._sim, "coingecko", "simple/token_price", good)

    def _listing(self, name: str) -> dict[str, Any]:
        world = self._sim.world
        return {
            "usd": world.prices[name],
            "usd_24h_change": Decimal("1.25"),
            "last_updated_at": int(world.price_time.timestamp()),
        }

    async def pools(self, request: Request) -> Response:
        chain = request.path_params["chain"]

        def good() -> Response:
            addresses = [a.lower() for a in request.path_params["addresses"].split(",")]
            if len(addresses) > 30 or chain not in _DEX_CHAINS:
                return Response("bad request", 400)
            pairs = [pair for address in addresses for pair in self._pairs(chain, address)]
            return _json_numbers(pairs[:_POOLS_AN_ANSWER])

        return await answer(self._sim, "dexscreener", "tokens", good, networks={chain})

    async def pools_of_all_chains(self, request: Request) -> Response:
        def good() -> Response:
            addresses = [a.lower() for a in request.path_params["addresses"].split(",")]
            pairs = [pair for chain in _DEX_CHAINS for address in addresses for pair in self._pairs(chain, address)]
            return _json_numbers({"schemaVersion": "1.0.0", "pairs": pairs[:_POOLS_AN_ANSWER] or None})

        return await answer(self._sim, "dexscreener", "latest/dex/tokens", good)

    def _pairs(self, chain: str, address: str) -> list[dict[str, Any]]:
        token = self._sim.world.token(_DEX_CHAINS[chain], address)
        if token is None or token.pool_usd is None:
            return []
        usd = self._sim.world.usd(token)
        claimed = usd if usd is not None else Decimal(token.alchemy_price or 0)
        deep = self._pair(chain, token, claimed, Decimal(token.pool_usd))
        thin = self._pair(chain, token, claimed * 7, Decimal(90))  # a small pool, far from the market
        return [thin, deep]

    def _pair(self, chain: str, token: SimToken, usd: Decimal, depth_usd: Decimal) -> dict[str, Any]:
        world, native = self._sim.world, CHAIN_BY_ID[token.chain_id]
        native_usd = world.prices[native.native_symbol]
        return {
            "chainId": chain,
            "dexId": "uniswap",
            "pairAddress": derived_address(f"pool:{token.chain_id}:{token.address}:{depth_usd}"),
            "labels": ["v3"],
            "baseToken": {"address": token.address, "name": token.name, "symbol": token.symbol},
            "quoteToken": {"address": native.wrapped_native, "name": "Wrapped", "symbol": f"W{native.native_symbol}"},
            "priceNative": plain(_WIDE.divide(usd, native_usd)),
            "priceUsd": plain(usd),
            "txns": {"h24": {"buys": 120, "sells": 98}},
            "volume": {"h24": Decimal("15234.5")},
            "priceChange": {"h24": Decimal("-3.1")},
            # A scam's own side is worth whatever its maker says: only the other side shows what a pool is.
            "liquidity": {
                "usd": depth_usd * 2,
                "base": _WIDE.divide(depth_usd, usd) if usd else 0,
                "quote": _WIDE.divide(depth_usd, native_usd),
            },
            "pairCreatedAt": 1700000000000,
        }


def _json_numbers(content: Any) -> Response:
    """JSON whose decimals are numbers, exactly."""
    body = msgspec.json.Encoder(decimal_format="number").encode(content)
    return Response(body, media_type="application/json")
