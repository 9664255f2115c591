"""``/admin``: changes the world, its faults and its pace while it runs."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from moonx_pipeline.simulator.answering import Simulation
from moonx_pipeline.simulator.pools import Pool
from moonx_pipeline.simulator.tokens import SimToken


class AdminRoutes:
    """The routes over one simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation

    def routes(self) -> list[Route]:
        return [
            Route("/admin/faults", self.faults, methods=["POST", "DELETE"]),
            Route("/admin/faults/{id:int}", self.faults, methods=["DELETE"]),
            Route("/admin/latency", self.latency, methods=["POST"]),
            Route("/admin/limits", self.limits, methods=["POST"]),
            Route("/admin/world", self.world, methods=["POST"]),
            Route("/admin/stats", self.stats, methods=["GET", "DELETE"]),
            Route("/admin/reset", self.reset, methods=["POST"]),
        ]

    async def faults(self, request: Request) -> Response:
        """POST switches a fault on (provider, kind, scope, count, params); DELETE switches one or all off."""
        if request.method == "DELETE":
            self._sim.faults.clear(int(request.path_params["id"]) if "id" in request.path_params else None)
            return JSONResponse({})
        try:
            return JSONResponse({"id": self._sim.faults.add(**await request.json()).id}, 201)
        except (TypeError, ValueError) as problem:
            return JSONResponse({"error": str(problem)}, 400)

    async def latency(self, request: Request) -> Response:
        """Sets the latency in milliseconds, by provider or for ``all``."""
        self._sim.faults.latency_ms |= await request.json()
        return JSONResponse(self._sim.faults.latency_ms)

    async def limits(self, request: Request) -> Response:
        """Sets the limit of requests a minute, by provider."""
        self._sim.per_minute |= await request.json()
        return JSONResponse(self._sim.per_minute)

    async def world(self, request: Request) -> Response:
        """Changes the world by any of these, in this order.

        ``tick`` moves all prices by a seed, ``prices`` some by name; ``tokens`` adds tokens with the arguments of
        ``World.add_token``, each pool an object with those of ``Pool``; ``balances`` sets what wallets hold;
        ``sourcePrices`` sets one source's price of a token: ``{"source", "chainId", "tokenAddress", "price",
        "ageSeconds"}``; ``pools`` and ``listings`` give tokens other pools and another ``coingeckoId``.
        """
        change, world = await request.json(), self._sim.world
        try:
            if "tick" in change:
                world.tick(int(change["tick"]))
            for name, price in change.get("prices", {}).items():
                world.set_price(name, Decimal(price))
            for item in change.get("tokens", []):
                world.add_token(**{**item, "pools": [Pool(**pool) for pool in item.get("pools", [])]})
            for item in change.get("balances", []):
                world.set_balance(item["wallet"].lower(), self._token(item), int(item["balance"]))
            for item in change.get("sourcePrices", []):
                age = timedelta(seconds=float(item.get("ageSeconds", 0)))
                world.set_source_price(item["source"], self._token(item), item["price"], age=age)
            for item in change.get("pools", []):
                world.set_pools(self._token(item), *(Pool(**pool) for pool in item["pools"]))
            for item in change.get("listings", []):
                world.set_listed(self._token(item), item["coingeckoId"])
        except (TypeError, ValueError, LookupError) as problem:
            return JSONResponse({"error": str(problem)}, 400)
        return JSONResponse({})

    def _token(self, item: dict[str, Any]) -> SimToken:
        token = self._sim.world.token(item["chainId"], item["tokenAddress"].lower())
        if token is None:
            raise LookupError(f"There is no token {item['tokenAddress']}.")
        return token

    async def stats(self, request: Request) -> Response:
        """Requests by provider, endpoint and status, and compute units; DELETE resets the counts."""
        tally = self._sim.faults
        if request.method == "DELETE":
            tally.requests.clear()
            tally.compute_units = 0
        return JSONResponse({"requests": dict(tally.requests), "computeUnits": tally.compute_units})

    async def reset(self, _request: Request) -> Response:
        """Resets everything to its start."""
        self._sim.reset()
        return JSONResponse({})
