"""``/admin``: changing the world, its faults and its pace while it runs."""

from __future__ import annotations

from decimal import Decimal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from moonx_pipeline.simulator.answering import Simulation


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
        """POST switches one on: provider, kind, and where, how often, with what; DELETE switches one or all off."""
        if request.method == "DELETE":
            self._sim.faults.clear(int(request.path_params["id"]) if "id" in request.path_params else None)
            return JSONResponse({})
        try:
            return JSONResponse({"id": self._sim.faults.add(**await request.json()).id}, 201)
        except (TypeError, ValueError) as problem:
            return JSONResponse({"error": str(problem)}, 400)

    async def latency(self, request: Request) -> Response:
        """Milliseconds by provider, or of ``all``."""
        self._sim.faults.latency_ms |= await request.json()
        return JSONResponse(self._sim.faults.latency_ms)

    async def limits(self, request: Request) -> Response:
        """Requests a minute by provider."""
        self._sim.per_minute |= await request.json()
        return JSONResponse(self._sim.per_minute)

    async def world(self, request: Request) -> Response:
        """``tick`` moves all prices by a seed, ``prices`` some, ``balances`` what wallets hold."""
        change = await request.json()
        if "tick" in change:
            self._sim.world.tick(int(change["tick"]))
        for name, price in change.get("prices", {}).items():
            self._sim.world.set_price(name, Decimal(price))
        for item in change.get("balances", []):
            token = self._sim.world.token(item["chainId"], item["tokenAddress"].lower())
            if token is None:
                return JSONResponse({"error": f"There is no token {item['tokenAddress']}."}, 400)
            self._sim.world.set_balance(item["wallet"].lower(), token, int(item["balance"]))
        return JSONResponse({})

    async def stats(self, request: Request) -> Response:
        """Requests by provider, endpoint and status, and compute units; DELETE starts anew."""
        tally = self._sim.faults
        if request.method == "DELETE":
            tally.requests.clear()
            tally.compute_units = 0
        return JSONResponse({"requests": dict(tally.requests), "computeUnits": tally.compute_units})

    async def reset(self, _request: Request) -> Response:
        """All as at the start."""
        self._sim.reset()
        return JSONResponse({})
