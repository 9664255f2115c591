"""Alchemy's token data and prices."""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from moonx_pipeline.simulator.alchemy_values import COMPUTE_UNITS, hex_balance, spoiled_metadata, spoiled_row
from moonx_pipeline.simulator.answering import Simulation, answer
from moonx_pipeline.simulator.encoding import json_answer
from moonx_pipeline.simulator.faults import EMPTY_FAULTS, LIST_FAULTS, NAME_FAULTS, QUOTE_FAULTS, ROW_FAULTS
from moonx_pipeline.simulator.market import plain
from moonx_pipeline.simulator.networks import CHAIN_OF_NETWORK, SimChain
from moonx_pipeline.simulator.spoiling import Spoiled
from moonx_pipeline.simulator.tokens import SimToken, derived_address
from moonx_pipeline.simulator.wallets import Holding

BAD_KEY: Final = "bad-key"
_PAGE: Final = 100
_IN_BALANCES: Final = LIST_FAULTS | ROW_FAULTS | EMPTY_FAULTS
_IN_TOKENS: Final = _IN_BALANCES | NAME_FAULTS | QUOTE_FAULTS
_IN_PRICES: Final = QUOTE_FAULTS | EMPTY_FAULTS


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message}}, status)


class AlchemyRoutes:
    """The routes over one simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation

    def routes(self) -> list[Route]:
        data = "/alchemy/data/v1/{key}/assets/tokens"
        return [
            Route(f"{data}/by-address", self.by_address, methods=["POST"]),
            Route(f"{data}/balances/by-address", self.balances, methods=["POST"]),
            Route("/alchemy/prices/v1/{key}/tokens/by-address", self.prices, methods=["POST"]),
            Route("/alchemy/prices/v1/{key}/tokens/by-symbol", self.prices_by_symbol),
        ]

    async def by_address(self, request: Request) -> Response:
        return await self._data(request, "tokens/by-address", rich=True)

    async def balances(self, request: Request) -> Response:
        return await self._data(request, "balances/by-address", rich=False)

    async def _data(self, request: Request, endpoint: str, *, rich: bool) -> Response:
        body = await request.json()
        pairs = [(item["address"].lower(), name) for item in body.get("addresses", []) for name in item["networks"]]
        networks, wallets = {name for _, name in pairs}, {wallet for wallet, _ in pairs}

        def good() -> Response:
            if request.path_params["key"] == BAD_KEY:
                return _error(401, "Must be authenticated!")
            problem = self._over_limits(body, pairs, rich=rich)
            return _error(400, problem) if problem else self._page(body, pairs, endpoint, rich=rich)

        return await answer(
            self._sim, "alchemy", endpoint, good, networks=networks, wallets=wallets, units=COMPUTE_UNITS[endpoint]
        )

    def _over_limits(self, body: dict[str, Any], pairs: list[tuple[str, str]], *, rich: bool) -> str | None:
        addresses = body.get("addresses", [])
        unknown = {name for _, name in pairs}.difference(CHAIN_OF_NETWORK)
        if unknown:
            return f"Unsupported network: {min(unknown)}"
        if not addresses or len(addresses) > (2 if rich else 3):
            return f"addresses must have 1 to {2 if rich else 3} items"
        if rich and any(len(item["networks"]) > 5 for item in addresses):
            return "networks must have at most 5 items for an address"
        if not rich and len(pairs) > 20:
            return "networks must have at most 20 items in total"
        return None

    def _page(self, body: dict[str, Any], pairs: list[tuple[str, str]], endpoint: str, *, rich: bool) -> Response:
        networks, wallets = {name for _, name in pairs}, {wallet for wallet, _ in pairs}
        kinds = _IN_TOKENS if rich else _IN_BALANCES
        spoiled = self._sim.spoiled("alchemy", endpoint, kinds, networks=networks, wallets=wallets)
        if spoiled.has("null_answer"):
            return json_answer(None)
        failed, silent = spoiled.of("partial_error"), spoiled.of("silent_network")
        left_out = {fault.network for fault in (failed, silent) if fault}
        first = not body.get("pageKey")
        start = int(base64.b64decode(body["pageKey"]).decode()) if not first else 0
        listed = [
            (wallet, CHAIN_OF_NETWORK[name], holding, number)
            for wallet, name in pairs
            if name not in left_out
            for number, holding in enumerate(self._listed(body, wallet, CHAIN_OF_NETWORK[name]))
        ]
        page = [
            self._row(*item, body, spoiled, rich=rich)
            for item in listed[start : start + _PAGE]
            if item[2].token.is_native or not spoiled.has("missing_row", item[2].token)
        ]
        if spoiled.has("duplicate_tokens"):
            page = [*page, *page[:5]]
        key = base64.b64encode(str(start + _PAGE).encode()).decode() if start + _PAGE < len(listed) else None
        if spoiled.has("endless_page_key"):
            key = base64.b64encode(b"0").decode()
        if spoiled.has("missing_page") or spoiled.has("empty_answer"):
            page = []
        content: dict[str, Any] = {"data": {"tokens": page, "pageKey": key}}
        if failed and first:
            content["error"] = {
                "message": "Failed to fetch tokens on certain networks",
                "partialErrors": [{"network": failed.network, "reason": "upstream_timeout"}],
            }
        if body.get("includeBlockMetadata"):
            chains = {CHAIN_OF_NETWORK[name] for name in networks - left_out}
            content["blockMetadata"] = {chain.alchemy_answers: self._block(chain) for chain in chains}
        return json_answer(content)

    def _listed(self, body: dict[str, Any], wallet: str, chain: SimChain) -> list[Holding]:
        native, erc20 = body.get("includeNativeTokens", True), body.get("includeErc20Tokens", True)
        rows = self._sim.world.ledger.rows(wallet, chain.id)
        if native and erc20:
            return rows
        return [row for row in rows if (native if row.token.is_native else erc20)]

    def _block(self, chain: SimChain) -> dict[str, str]:
        number = self._sim.world.blocks[chain.id]
        block_hash = derived_address(f"block:{chain.id}:{number}") + derived_address(f"rest:{number}")[2:26]
        return {
            "blockNumber": hex(number),
            "blockHash": block_hash,
            "blockTimestamp": self._sim.world.quoted_at().strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def _row(
        self,
        wallet: str,
        chain: SimChain,
        holding: Holding,
        number: int,
        body: dict[str, Any],
        spoiled: Spoiled,
        *,
        rich: bool,
    ) -> dict[str, Any]:
        token, balance = holding
        row: dict[str, Any] = {
            "network": chain.alchemy_answers,
            "address": wallet,
            "tokenAddress": None if token.is_native else token.address,
            "tokenBalance": hex_balance(balance, number),
        }
        if rich:
            if body.get("withMetadata", True):
                row["tokenMetadata"] = spoiled_metadata(token, spoiled, in_list=True)
            if body.get("withPrices", True):
                row["tokenPrices"] = self._prices_of(token, spoiled)
            row["error"] = None
        row |= spoiled_row(token, balance, number, spoiled)
        return row | self._sim.world.ledger.row(wallet, token)

    def _prices_of(self, token: SimToken, spoiled: Spoiled) -> list[dict[str, str]]:
        quote = spoiled.quote(self._sim.world.quote("alchemy", token), token)
        if quote is None or spoiled.has("no_price", token):
            return []
        value = "0" if spoiled.has("zero_price", token) else plain(Decimal(quote.price))
        return [{"currency": "usd", "value": value, "lastUpdatedAt": quote.at.isoformat().replace("+00:00", "Z")}]

    async def prices(self, request: Request) -> Response:
        asked = (await request.json()).get("addresses", [])
        networks = {item["network"] for item in asked}

        def good() -> Response:
            if request.path_params["key"] == BAD_KEY:
                return _error(401, "Must be authenticated!")
            if not asked or len(asked) > 25 or len(networks) > 3:
                return _error(400, "at most 25 addresses on at most 3 networks")
            contracts = {item["address"].lower() for item in asked}
            spoiled = self._sim.spoiled("alchemy", "prices/by-address", _IN_PRICES, networks=networks, tokens=contracts)
            if spoiled.has("null_answer"):
                return json_answer(None)
            rows = []
            for item in [] if spoiled.has("empty_answer") else asked:
                chain = CHAIN_OF_NETWORK.get(item["network"])
                token = self._sim.world.token(chain.id, item["address"].lower()) if chain else None
                found = self._prices_of(token, spoiled) if token and not token.is_native else []
                rows.append({**item, "prices": found, "error": None if found else {"message": "Token not found"}})
            return json_answer({"data": rows})

        return await answer(
            self._sim, "alchemy", "prices/by-address", good, networks=networks, units=COMPUTE_UNITS["prices/by-address"]
        )

    async def prices_by_symbol(self, request: Request) -> Response:
        asked = request.query_params.getlist("symbols")

        def good() -> Response:
            if request.path_params["key"] == BAD_KEY:
                return _error(401, "Must be authenticated!")
            if not asked or len(asked) > 25:
                return _error(400, "at most 25 symbols")
            spoiled = self._sim.spoiled("alchemy", "prices/by-symbol", _IN_PRICES)
            if spoiled.has("null_answer"):
                return json_answer(None)
            coins = {token.symbol: token for token in self._sim.world.tokens() if token.listed}
            rows = []
            for symbol in [] if spoiled.has("empty_answer") else asked:
                found = self._prices_of(coins[symbol], spoiled) if symbol in coins else []
                rows.append({"symbol": symbol, "prices": found, "error": None if found else {"message": "Not found"}})
            return json_answer({"data": rows})

        return await answer(self._sim, "alchemy", "prices/by-symbol", good, units=COMPUTE_UNITS["prices/by-symbol"])
