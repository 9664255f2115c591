"""JSON-RPC: the standard calls of any node, and Alchemy's own calls about tokens."""

from __future__ import annotations

import random
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from moonx_pipeline.simulator.alchemy import BAD_KEY
from moonx_pipeline.simulator.alchemy_values import (
    COMPUTE_UNITS,
    hex_balance,
    spoiled_metadata,
    spoiled_row,
    three_words,
)
from moonx_pipeline.simulator.answering import Simulation, answer
from moonx_pipeline.simulator.bulk_calls import asked_in, bulk_answer, pairs_in, transfer_logs
from moonx_pipeline.simulator.contracts import BALANCE_OF, Reverted, contract_answer, wallet_of
from moonx_pipeline.simulator.encoding import json_answer
from moonx_pipeline.simulator.faults import NAME_FAULTS, ROW_FAULTS
from moonx_pipeline.simulator.networks import CHAIN_OF_NETWORK, CHAINS, SimChain
from moonx_pipeline.simulator.spoiling import Spoiled

_PAGE: Final = 100
_CONTRACTS: Final = 1500
_USUAL_UNITS: Final = 26
_IN_ANY: Final = frozenset({"null_answer", "call_refused"})
_NO_TOKEN: Final = "Invalid params: expected a valid token contract address."


class RpcRoutes:
    """The routes over one simulation: Alchemy's, and ``/node/{chain}``, a node with the standard calls only."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation

    def routes(self) -> list[Route]:
        return [
            Route("/alchemy/rpc/{network}/v2/{key}", self.alchemy, methods=["POST"]),
            Route("/node/{chain}", self.node, methods=["POST"]),
        ]

    async def alchemy(self, request: Request) -> Response:
        network = request.path_params["network"]
        chain = CHAIN_OF_NETWORK.get(network)
        body = await request.json()
        refused = None
        if request.path_params["key"] == BAD_KEY:
            refused = JSONResponse(_refusal(_first(body), -32600, "Must be authenticated!"), 401)
        elif chain is None:
            refused = JSONResponse(_refusal(_first(body), -32600, f"Unsupported network: {network}"), 400)
        return await self._answer("alchemy", network, chain or CHAINS[0], body, refused)

    async def node(self, request: Request) -> Response:
        name = request.path_params["chain"]
        chain = next((chain for chain in CHAINS if chain.slug == name), None)
        if chain is None:
            return Response("There is no such node.", 404)
        return await self._answer("rpc", name, chain, await request.json())

    async def _answer(
        self, provider: str, network: str, chain: SimChain, body: Any, refused: Response | None = None
    ) -> Response:
        calls = body if isinstance(body, list) else [body]
        wallets = {wallet for call in calls for wallet in _wallets(call)}
        methods = {call["method"] for call in calls}

        def good() -> Response:
            if refused is not None:
                return refused
            spoiled = self._spoiled(provider, network, calls, methods, wallets)
            if spoiled.has("null_answer"):
                return json_answer(None)
            said = [
                _refused(call, number, spoiled) or self._call(provider, chain.id, call, spoiled)
                for number, call in enumerate(calls)
            ]
            if isinstance(body, list):
                random.Random(len(said)).shuffle(said)  # noqa: S311 - the documented order is arbitrary
            return json_answer(said if isinstance(body, list) else said[0])

        return await answer(
            self._sim,
            provider,
            calls[0]["method"],
            good,
            others=methods,
            networks={network},
            wallets=wallets,
            units=sum(COMPUTE_UNITS.get(call["method"], _USUAL_UNITS) for call in calls)
            if provider == "alchemy"
            else 0,
        )

    def _spoiled(
        self, provider: str, network: str, calls: list[dict[str, Any]], methods: set[str], wallets: set[str]
    ) -> Spoiled:
        kinds = set(_IN_ANY)
        if methods & {"eth_call", "alchemy_getTokenBalances"}:
            kinds |= ROW_FAULTS
        if "alchemy_getTokenMetadata" in methods:
            kinds |= NAME_FAULTS
        named = [_contracts(call) for call in calls]
        tokens = None if any(one is None for one in named) else {contract for one in named for contract in one or ()}
        return self._sim.spoiled(provider, methods, kinds, networks={network}, wallets=wallets, tokens=tokens)

    def _call(self, provider: str, chain_id: int, call: dict[str, Any], spoiled: Spoiled) -> dict[str, Any]:
        method, params, world = call["method"], call.get("params", []), self._sim.world
        if method == "eth_chainId":
            return _result(call, hex(chain_id))
        if method == "eth_blockNumber":
            return _result(call, hex(world.blocks[chain_id]))
        if method == "eth_getBalance":
            held = world.holdings(params[0].lower(), chain_id)
            return _result(call, hex(sum(h.balance for h in held if h.token.is_native)))
        if method == "eth_call":
            asked = asked_in(call)
            if asked is not None:
                return _result(call, bulk_answer(world, chain_id, asked))
            return self._contract(chain_id, call, spoiled)
        if method == "eth_getLogs":
            return _result(call, transfer_logs(world, chain_id, params[0]))
        if provider != "alchemy":
            return _refusal(call, -32601, f"the method {method} does not exist/is not available")
        if method == "alchemy_getTokenBalances":
            return self._token_balances(chain_id, call, spoiled)
        if method == "alchemy_getTokenMetadata":
            token = world.token(chain_id, params[0].lower())
            if token is None or token.is_native or spoiled.has("metadata_refused", token):
                return _refusal(call, -32602, _NO_TOKEN)
            return _result(call, spoiled_metadata(token, spoiled, in_list=False))
        return _refusal(call, -32601, f"Unsupported method: {method}")

    def _contract(self, chain_id: int, call: dict[str, Any], spoiled: Spoiled) -> dict[str, Any]:
        contract, data = call["params"][0]["to"].lower(), call["params"][0]["data"]
        token = self._sim.world.token(chain_id, contract)
        try:
            said = contract_answer(self._sim.world, chain_id, contract, data)
        except Reverted:
            return _refusal(call, 3, "execution reverted", data="0x")
        fault = spoiled.of("three_word_balance", token) if token and data.startswith(BALANCE_OF) else None
        if fault and fault.params.get("token"):
            said = three_words(int(said, 16))
        return _result(call, said)

    def _token_balances(self, chain_id: int, call: dict[str, Any], spoiled: Spoiled) -> dict[str, Any]:
        wallet, spec, *rest = call["params"]
        wallet, options = wallet.lower(), (rest[0] if rest else None) or {}
        held = [h for h in self._sim.world.holdings(wallet, chain_id) if not h.token.is_native]
        if isinstance(spec, list):
            if len(spec) > _CONTRACTS:
                return _refusal(call, -32602, f"Invalid params: at most {_CONTRACTS} contract addresses.")
            balances, asked = {h.token.address: h.balance for h in held}, [str(address).lower() for address in spec]
            rows = [self._row(wallet, chain_id, a, balances.get(a, 0), n, spoiled) for n, a in enumerate(asked)]
            return _result(call, {"address": wallet, "tokenBalances": rows})
        start, size = int(options.get("pageKey") or "0x0", 16), min(int(options.get("maxCount", _PAGE)), _PAGE)
        page = enumerate(held[start : start + size], start)
        rows = [self._row(wallet, chain_id, h.token.address, h.balance, n, spoiled) for n, h in page]
        more = {"pageKey": hex(start + size)} if start + size < len(held) else {}
        return _result(call, {"address": wallet, "tokenBalances": rows, **more})

    def _row(
        self, wallet: str, chain_id: int, address: str, balance: int, number: int, spoiled: Spoiled
    ) -> dict[str, Any]:
        token = self._sim.world.token(chain_id, address)
        if token is None:  # no contract at this address
            return {"contractAddress": address, "tokenBalance": "0x", "error": None}
        row = {"contractAddress": address, "tokenBalance": hex_balance(balance, 0), "error": None}
        row |= spoiled_row(token, balance, number + 1, spoiled)
        written = self._sim.world.ledger.row(wallet, token)
        return row | {name: written[name] for name in ("tokenBalance", "error") if name in written}


def _refused(call: dict[str, Any], number: int, spoiled: Spoiled) -> dict[str, Any] | None:
    """A fault's refusal of one call of a batch, if it hits the call."""
    fault = spoiled.of("call_refused")
    if fault is None or number < int(fault.params.get("after", 0)):
        return None
    method, token = fault.params.get("method"), fault.params.get("token")
    if (method and method != call["method"]) or (token and token.lower() not in (_contracts(call) or ())):
        return None
    return _refusal(call, int(fault.params.get("code", -32005)), fault.params.get("message", "limit exceeded"))


def _first(body: Any) -> dict[str, Any]:
    call: dict[str, Any] = body[0] if isinstance(body, list) else body
    return call


def _wallets(call: dict[str, Any]) -> list[str]:
    params, pairs = call.get("params") or [""], pairs_in(call)
    if pairs is not None:
        return [wallet for wallet, _ in pairs]
    if isinstance(params[0], dict):
        return [wallet_of(params[0].get("data", ""))] if params[0].get("data", "").startswith(BALANCE_OF) else []
    return [str(params[0]).lower()]


def _contracts(call: dict[str, Any]) -> list[str] | None:
    """The contracts that a call names; ``None`` if its answer decides them."""
    method, params = call["method"], call.get("params") or [""]
    pairs = pairs_in(call)
    if pairs is not None:
        return [token for _, token in pairs]
    if method == "eth_call":
        return [str(params[0].get("to", "")).lower()]
    if method == "alchemy_getTokenMetadata":
        return [str(params[0]).lower()]
    if method == "alchemy_getTokenBalances":
        return [str(contract).lower() for contract in params[1]] if isinstance(params[1], list) else None
    return []


def _result(call: dict[str, Any], result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": call.get("id"), "result": result}


def _refusal(call: dict[str, Any], code: int, message: str, **more: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": call.get("id"), "error": {"code": code, "message": message, **more}}
