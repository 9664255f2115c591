"""CoinGecko's prices by coin and by contract, its list of coins, and their markets."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from moonx_pipeline.simulator.answering import Simulation, answer
from moonx_pipeline.simulator.encoding import checksummed, json_answer
from moonx_pipeline.simulator.faults import EMPTY_FAULTS, QUOTE_FAULTS
from moonx_pipeline.simulator.networks import CHAIN_BY_ID, CHAIN_OF_PLATFORM
from moonx_pipeline.simulator.spoiling import Spoiled
from moonx_pipeline.simulator.tokens import SimToken

# Rows as in the real list: coins without contracts, on other chains, and with an empty contract.
_OTHER_COINS: Final[tuple[dict[str, Any], ...]] = (
    {"id": "bitcoin", "symbol": "btc", "name": "Bitcoin", "platforms": {}},
    {"id": "solana", "symbol": "sol", "name": "Solana", "platforms": {"": ""}},
    {"id": "bonk", "symbol": "bonk", "name": "Bonk", "platforms": {
        "solana": "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263",
        "ethereum": "0x1151cb3d861920e07a38e03eead12c32178567f6",
    }},
    {"id": "cosmos", "symbol": "atom", "name": "Cosmos Hub", "platforms": {
        "osmosis": "ibc/27394FB092D2ECCD56123C74F36E4C1F926001CEADA9CA97EA622B25F41E5EB2",
    }},
    {"id": "nameless-bridge", "symbol": "", "name": "", "platforms": {"base": "", "arbitrum-one": None}},
    {"id": "two-lines", "symbol": "two", "name": "Two Lines", "platforms": {"ethereum": "0x11\n"}},
)  # fmt: skip
_MOST_IDS: Final = 500

_KINDS: Final = EMPTY_FAULTS | QUOTE_FAULTS


class CoinGeckoRoutes:
    """The routes over one simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation

    def routes(self) -> list[Route]:
        return [
            Route("/coingecko/api/v3/simple/price", self.coins),
            Route("/coingecko/api/v3/simple/token_price/{platform}", self.contracts),
            Route("/coingecko/api/v3/coins/list", self.list_of_coins),
            Route("/coingecko/api/v3/coins/markets", self.markets),
            Route("/coingecko/api/v3/ping", lambda _request: JSONResponse({"gecko_says": "(V3) To the Moon!"})),
        ]

    async def coins(self, request: Request) -> Response:
        def good() -> Response:
            if "vs_currencies" not in request.query_params:
                return JSONResponse({"error": "Missing parameter vs_currencies"}, 422)
            asked = [coin for coin in request.query_params.get("ids", "").split(",") if coin]
            if len(asked) > _MOST_IDS:
                return Response("Request-URI Too Large", 414)
            spoiled = self._sim.spoiled("coingecko", "simple/price", _KINDS)
            if spoiled.has("null_answer"):
                return json_answer(None)
            coins = {} if spoiled.has("empty_answer") else self._sim.world.catalogue.coins()
            found = {coin: self._price(coins[coin][0], request, spoiled) for coin in asked if coin in coins}
            return json_answer({coin: price for coin, price in found.items() if price is not None})

        return await answer(self._sim, "coingecko", "simple/price", good)

    async def contracts(self, request: Request) -> Response:
        def good() -> Response:
            addresses = [a.lower() for a in request.query_params.get("contract_addresses", "").split(",")]
            most = self._sim.contracts_a_call
            if len(addresses) > most:
                message = f"Number of contract addresses in the request exceeds the allowed limit ({most} addresses)."
                return JSONResponse({"error_code": 10012, "status": {"error_message": message}}, 400)
            chain = CHAIN_OF_PLATFORM.get(request.path_params["platform"])
            if chain is None:
                return JSONResponse({"error": "coin not found"}, 404)
            spoiled = self._sim.spoiled("coingecko", "simple/token_price", _KINDS, tokens=set(addresses))
            if spoiled.has("null_answer"):
                return json_answer(None)
            tokens = [] if spoiled.has("empty_answer") else [self._sim.world.token(chain.id, a) for a in addresses]
            found = {t.address: self._price(t, request, spoiled) for t in tokens if t and t.listed and not t.is_native}
            return json_answer({contract: price for contract, price in found.items() if price is not None})

        return await answer(self._sim, "coingecko", "simple/token_price", good)

    async def list_of_coins(self, request: Request) -> Response:
        def good() -> Response:
            spoiled = self._sim.spoiled("coingecko", "coins/list", _KINDS)
            if spoiled.has("null_answer"):
                return json_answer(None)
            if spoiled.has("empty_answer"):
                return json_answer([])
            rows = [_row(coin, tokens) for coin, tokens in self._sim.world.catalogue.coins().items()] + list(
                _OTHER_COINS
            )
            if request.query_params.get("include_platform") != "true":
                rows = [{name: value for name, value in row.items() if name != "platforms"} for row in rows]
            return json_answer(rows)

        return await answer(self._sim, "coingecko", "coins/list", good)

    async def markets(self, request: Request) -> Response:
        def good() -> Response:
            if "vs_currency" not in request.query_params:
                return JSONResponse({"error": "Missing parameter vs_currency"}, 422)
            most = int(request.query_params.get("per_page", "100"))
            asked = [coin for coin in request.query_params.get("ids", "").split(",") if coin][: min(most, 250)]
            spoiled = self._sim.spoiled("coingecko", "coins/markets", _KINDS)
            if spoiled.has("null_answer"):
                return json_answer(None)
            coins = {} if spoiled.has("empty_answer") else self._sim.world.catalogue.coins()
            rows = [self._market(coin, coins[coin][0], request, spoiled) for coin in asked if coin in coins]
            return json_answer([row for row in rows if row is not None])

        return await answer(self._sim, "coingecko", "coins/markets", good)

    def _market(self, coin: str, token: SimToken, request: Request, spoiled: Spoiled) -> dict[str, Any] | None:
        quote = spoiled.quote(self._sim.world.quote("coingecko", token), token)
        if quote is None:
            return None
        row: dict[str, Any] = {
            "id": coin,
            "symbol": str(token.symbol or "").lower(),
            "name": token.name or "",
            "current_price": None if spoiled.has("no_price", token) else quote.price,
            "price_change_percentage_24h": quote.change_percent,
            "last_updated": quote.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        if request.query_params.get("sparkline") == "true":
            # A steady climb by a tenth over the week, to the price of now.
            points = [quote.price * (900 + hour * 100 // 167) / 1000 for hour in range(168)]
            row["sparkline_in_7d"] = {"price": [] if spoiled.has("no_price", token) else points}
        return row

    def _price(self, token: SimToken, request: Request, spoiled: Spoiled) -> dict[str, Any] | None:
        quote = spoiled.quote(self._sim.world.quote("coingecko", token), token)
        if quote is None:
            return None
        if spoiled.has("no_price", token):
            return {"usd": None, "usd_24h_change": None, "last_updated_at": None}
        price: dict[str, Any] = {"usd": 0 if spoiled.has("zero_price", token) else quote.price}
        if request.query_params.get("include_24hr_change") == "true":
            price["usd_24h_change"] = quote.change_percent
        if request.query_params.get("include_last_updated_at") == "true":
            price["last_updated_at"] = int(quote.at.timestamp())
        return price


def _row(coin: str, tokens: list[SimToken]) -> dict[str, Any]:
    first = tokens[0]
    contracts = {CHAIN_BY_ID[token.chain_id].coingecko: token.address for token in tokens if not token.is_native}
    if len(coin) % 2:  # most of the list is in lower case, some is not
        contracts = {platform: checksummed(contract) for platform, contract in contracts.items()}
    return {"id": coin, "symbol": str(first.symbol or "").lower(), "name": first.name or "", "platforms": contracts}
