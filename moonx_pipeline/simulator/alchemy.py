"""Alchemy's documented HTTP: token data, prices, JSON-RPC."""

from __future__ import annotations

import base64
import random
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from moonx_pipeline.domain.chains import NATIVE_TOKEN
from moonx_pipeline.domain.money import plain
from moonx_pipeline.providers.alchemy_networks import CHAIN_OF_NETWORK, COMPUTE_UNITS
from moonx_pipeline.simulator.answering import Simulation, answer
from moonx_pipeline.simulator.faults import IN_ANSWER
from moonx_pipeline.simulator.tokens import SimToken
from moonx_pipeline.simulator.world import Holding

BAD_KEY: Final = "bad-key"
_PAGE: Final = 100
_ANSWERED_AS: Final = {137: "matic-mainnet"}
_encode = msgspec.json.encode


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message}}, status)


def hex_balance(balance: int, style: int) -> str:
    """A balance in one of the three ways in which Alchemy writes it: padded, minimal, of even length."""
    if style % 3 == 0:
        return f"0x{balance:064x}"
    text = f"{balance:x}"
    return "0x" + (text if style % 3 == 1 or len(text) % 2 == 0 else "0" + text)


def _network_name(chain_id: int, asked: str) -> str:
    return _ANSWERED_AS.get(chain_id, asked)


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
            Route("/alchemy/rpc/{network}/v2/{key}", self.rpc, methods=["POST"]),
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
        faults = {
            fault.kind: fault
            for fault in self._sim.faults.take("alchemy", endpoint, IN_ANSWER, networks=networks, wallets=wallets)
        }
        failed = faults["partial_error"].network if "partial_error" in faults else None
        first = not body.get("pageKey")
        start = int(base64.b64decode(body["pageKey"]).decode()) if not first else 0
        rows = [
            self._row(wallet, name, holding, number, faults, rich=rich)
            for wallet, name in pairs
            if name != failed
            for number, holding in enumerate(self._sim.world.holdings(wallet, CHAIN_OF_NETWORK[name]))
        ]
        page = rows[start : start + _PAGE]
        if "duplicate_tokens" in faults:
            page = [*page, *page[:5]]
        more = start + _PAGE < len(rows)
        key = base64.b64encode(str(start + _PAGE).encode()).decode() if more else None
        if "endless_page_key" in faults:
            key = base64.b64encode(b"0").decode()
        if "missing_page" in faults:
            page = []
        content: dict[str, Any] = {"data": {"tokens": page, "pageKey": key}}
        if failed and first:
            content["error"] = {
                "message": "Failed to fetch tokens on certain networks",
                "partialErrors": [{"network": failed, "reason": "upstream_timeout"}],
            }
        return Response(_encode(content), media_type="application/json")

    def _row(
        self, wallet: str, network: str, holding: Holding, number: int, faults: dict[str, Any], *, rich: bool
    ) -> dict[str, Any]:
        token, balance = holding
        text = hex_balance(balance, number)
        if "0x_balance" in faults and number == 0:
            text = "0x"
        row: dict[str, Any] = {
            "network": _network_name(token.chain_id, network),
            "address": wallet,
            "tokenAddress": None if token.is_native else token.address,
            "tokenBalance": text,
        }
        if "token_error" in faults and number == 1:
            row |= {"tokenBalance": None, "error": "execution reverted"}
        if rich:
            decimals = None if "null_decimals" in faults else token.decimals
            named = not token.is_native
            row["tokenMetadata"] = {
                "symbol": token.symbol if named else None,
                "decimals": decimals if named else None,
                "name": token.name if named else None,
                "logo": None,
            }
            row["tokenPrices"] = self._prices_of(token)
            row.setdefault("error", None)
        return row

    def _prices_of(self, token: SimToken) -> list[dict[str, str]]:
        usd = self._sim.world.usd(token)
        value = token.alchemy_price or (plain(usd) if usd is not None else None)
        at = self._sim.world.price_time.isoformat().replace("+00:00", "Z")
        return [{"currency": "usd", "value": value, "lastUpdatedAt": at}] if value else []

    async def prices(self, request: Request) -> Response:
        asked = (await request.json()).get("addresses", [])
        networks = {item["network"] for item in asked}

        def good() -> Response:
            if request.path_params["key"] == BAD_KEY:
                return _error(401, "Must be authenticated!")
            if not asked or len(asked) > 25 or len(networks) > 3:
                return _error(400, "at most 25 addresses on at most 3 networks")
            rows = []
            for item in asked:
                token = self._sim.world.token(CHAIN_OF_NETWORK[item["network"]], item["address"].lower())
                found = self._prices_of(token) if token else []
                error = None if found else {"message": "Token not found"}
                rows.append({**item, "prices": found, "error": error})
            return Response(_encode({"data": rows}), media_type="application/json")

        return await answer(
            self._sim, "alchemy", "prices/by-address", good, networks=networks, units=COMPUTE_UNITS["prices/by-address"]
        )

    async def rpc(self, request: Request) -> Response:
        network = request.path_params["network"]
        chain_id = CHAIN_OF_NETWORK.get(network)
        body = await request.json()
        calls = body if isinstance(body, list) else [body]
        wallets = {str(call["params"][0]).lower() for call in calls if call.get("params")}

        def good() -> Response:
            if request.path_params["key"] == BAD_KEY:
                return JSONResponse(_refusal(calls[0], -32600, "Must be authenticated!"), 401)
            if chain_id is None:
                return JSONResponse(_refusal(calls[0], -32600, f"Unsupported network: {network}"), 400)
            said = [self._call(chain_id, call) for call in calls]
            if isinstance(body, list):
                random.Random(len(said)).shuffle(said)  # noqa: S311 - the order is documented as any
            return Response(_encode(said if isinstance(body, list) else said[0]), media_type="application/json")

        units = sum(COMPUTE_UNITS.get(call["method"], 26) for call in calls)
        return await answer(
            self._sim, "alchemy", calls[0]["method"], good, networks={network}, wallets=wallets, units=units
        )

    def _call(self, chain_id: int, call: dict[str, Any]) -> dict[str, Any]:
        method, params = call["method"], call.get("params", [])
        if method == "eth_chainId":
            return _result(call, hex(chain_id))
        if method == "eth_blockNumber":
            return _result(call, "0x1312d00")
        if method == "eth_getBalance":
            held = self._sim.world.holdings(params[0].lower(), chain_id)
            return _result(call, hex(sum(h.balance for h in held if h.token.is_native)))
        if method == "alchemy_getTokenBalances":
            return _result(call, self._token_balances(chain_id, params))
        if method == "alchemy_getTokenMetadata":
            token = self._sim.world.token(chain_id, params[0].lower())
            if token is None or token.is_native:
                return _refusal(call, -32602, "Invalid params: expected a valid token contract address.")
            return _result(call, {"name": token.name, "symbol": token.symbol, "decimals": token.decimals, "logo": None})
        return _refusal(call, -32601, f"Unsupported method: {method}")

    def _token_balances(self, chain_id: int, params: list[Any]) -> dict[str, Any]:
        wallet, spec, *rest = params
        options = rest[0] if rest else {}
        held = [h for h in self._sim.world.holdings(wallet.lower(), chain_id) if h.token.address != NATIVE_TOKEN]
        if isinstance(spec, list):
            wanted = {address.lower() for address in spec}
            held = [h for h in held if h.token.address in wanted]
        start, size = int(options.get("pageKey") or "0x0", 16), min(int(options.get("maxCount", _PAGE)), _PAGE)
        page = held[start : start + size]
        more = start + size < len(held)
        rows = [{"contractAddress": h.token.address, "tokenBalance": hex_balance(h.balance, 0)} for h in page]
        return {"address": wallet.lower(), "tokenBalances": rows, **({"pageKey": hex(start + size)} if more else {})}


def _result(call: dict[str, Any], result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": call.get("id"), "result": result}


def _refusal(call: dict[str, Any], code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": call.get("id"), "error": {"code": code, "message": message}}
