"""DefiLlama's current prices of coins, by keys such as ``ethereum:0x…`` in the path."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from moonx_pipeline.simulator.answering import Simulation, answer
from moonx_pipeline.simulator.encoding import json_answer
from moonx_pipeline.simulator.faults import EMPTY_FAULTS, QUOTE_FAULTS
from moonx_pipeline.simulator.networks import CHAIN_OF_LLAMA, NATIVE_TOKEN, ZERO_ADDRESS
from moonx_pipeline.simulator.spoiling import Spoiled
from moonx_pipeline.simulator.tokens import SimToken

_LONGEST_PATH: Final = 8000

_KINDS: Final = EMPTY_FAULTS | QUOTE_FAULTS | {"low_confidence"}


class DefiLlamaRoutes:
    """The route over one simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation

    def routes(self) -> list[Route]:
        return [Route("/defillama/prices/current/{keys:path}", self.current)]

    async def current(self, request: Request) -> Response:
        keys = [key for key in request.path_params["keys"].split(",") if key]

        def good() -> Response:
            if len(request.path_params["keys"]) > _LONGEST_PATH:
                return Response("URI Too Long", 414)
            asked = {key: self._token(key) for key in keys}
            contracts = {token.address for token in asked.values() if token}
            spoiled = self._sim.spoiled("defillama", "prices/current", _KINDS, tokens=contracts)
            if spoiled.has("null_answer"):
                return json_answer(None)
            found = {} if spoiled.has("empty_answer") else asked
            coins = {key: self._coin(key, token, spoiled) for key, token in found.items() if token}
            return json_answer({"coins": {key: coin for key, coin in coins.items() if coin}})

        networks = {key.partition(":")[0] for key in keys}
        return await answer(self._sim, "defillama", "prices/current", good, networks=networks)

    def _token(self, key: str) -> SimToken | None:
        """The token of a key in any case; the zero address and ``coingecko:<id>`` name coins."""
        name, _, address = key.partition(":")
        if name == "coingecko":
            return next(iter(self._sim.world.catalogue.coins().get(address, ())), None)
        chain = CHAIN_OF_LLAMA.get(name)
        if chain is None or address.lower() == NATIVE_TOKEN:
            return None
        return self._sim.world.token(chain.id, NATIVE_TOKEN if address == ZERO_ADDRESS else address.lower())

    def _coin(self, key: str, token: SimToken, spoiled: Spoiled) -> dict[str, Any] | None:
        quote = spoiled.quote(self._sim.world.quote("defillama", token), token)
        if quote is None or spoiled.has("no_price", token):
            return None
        doubted = spoiled.of("low_confidence", token)
        coin = {
            "price": 0 if spoiled.has("zero_price", token) else quote.price,
            "symbol": token.symbol,
            "timestamp": int(quote.at.timestamp()),
            "confidence": doubted.params.get("value", 0.1) if doubted else 0.99,
        }
        return coin if key.startswith("coingecko:") else {"decimals": token.decimals, **coin}
