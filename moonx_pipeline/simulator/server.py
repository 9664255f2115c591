"""Runs the simulator as a server, in this process or by itself."""

from __future__ import annotations

import itertools
import random
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette

from moonx_pipeline.errors import OperatorError
from moonx_pipeline.simulator.admin import AdminRoutes
from moonx_pipeline.simulator.alchemy import AlchemyRoutes
from moonx_pipeline.simulator.answering import Simulation
from moonx_pipeline.simulator.binance import BinanceRoutes
from moonx_pipeline.simulator.coingecko import CoinGeckoRoutes
from moonx_pipeline.simulator.defillama import DefiLlamaRoutes
from moonx_pipeline.simulator.dexscreener import DexScreenerRoutes
from moonx_pipeline.simulator.json_rpc import RpcRoutes
from moonx_pipeline.simulator.networks import CHAINS
from moonx_pipeline.simulator.raw_responses import OpenProtocol

KEY = "simulator"


def provider_settings(base_url: str) -> dict[str, str]:
    """The settings that point the pipeline at a simulator, with the limits of a large plan."""
    return {
        "ALCHEMY_API_KEY": KEY,
        "ALCHEMY_RATE_LIMIT_RPM": "6000",
        "ALCHEMY_MAX_COMPUTE_UNITS_PER_SECOND": "10000",
        "ALCHEMY_DATA_BASE_URL": f"{base_url}/alchemy/data/v1",
        "ALCHEMY_PRICES_BASE_URL": f"{base_url}/alchemy/prices/v1",
        "ALCHEMY_RPC_URL_TEMPLATE": f"{base_url}/alchemy/rpc/{{network}}/v2/{{api_key}}",
        "BINANCE_BASE_URL": f"{base_url}/binance",
        "COINGECKO_BASE_URL": f"{base_url}/coingecko/api/v3",
        "DEFILLAMA_BASE_URL": f"{base_url}/defillama",
        "DEXSCREENER_BASE_URL": f"{base_url}/dexscreener/latest",
    }


def simulator_app(simulation: Simulation) -> Starlette:
    """The ASGI application of a simulation: the providers' routes, and ``/admin`` to change the world."""
    parts = (
        AlchemyRoutes(simulation),
        RpcRoutes(simulation),
        BinanceRoutes(simulation),
        CoinGeckoRoutes(simulation),
        DefiLlamaRoutes(simulation),
        DexScreenerRoutes(simulation),
        AdminRoutes(simulation),
    )
    return Starlette(routes=[route for part in parts for route in part.routes()])


class RunningSimulator:
    """A simulator in a thread of this process, with its world at hand."""

    def __init__(self, base_url: str, simulation: Simulation) -> None:
        self.base_url = base_url
        self.simulation = simulation

    def environment(self) -> dict[str, str]:
        """The settings that point the pipeline at it."""
        return provider_settings(self.base_url)

    def node_environment(self, *slugs: str) -> dict[str, str]:
        """The settings that make its nodes a second balance source, for these chains or for all."""
        chosen = slugs or tuple(chain.slug for chain in CHAINS)
        return {f"RPC_URL_{slug.upper()}": f"{self.base_url}/node/{slug}" for slug in chosen}

    def fault(self, kind: str, provider: str = "alchemy", **where: Any) -> int:
        """Switches a fault on; returns its number."""
        return self.simulation.faults.add(kind=kind, provider=provider, **where).id

    def requests(self, prefix: str = "") -> int:
        """The number of answered requests whose ``provider endpoint status`` begins with the prefix."""
        return sum(count for name, count in self.simulation.faults.requests.items() if name.startswith(prefix))


def listening_socket(port: int) -> socket.socket:
    """A listening socket on the loopback interface; port 0 takes a free one.

    Raises:
        OperatorError: The port is taken.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as problem:
        listener.close()
        raise OperatorError(
            f"The simulator can't listen on port {port}: {problem.strerror}. Choose another with SIMULATOR_PORT."
        ) from None
    listener.listen(512)
    return listener


# Below the ports that Linux and macOS give to outgoing connections, which could take one before its server listens.
_PORTS = range(10_240, 32_768)
# Each process goes round from a place of its own, so that no port is given twice before anything listens on it.
_round = itertools.islice(itertools.cycle(_PORTS), random.SystemRandom().randrange(len(_PORTS)), None)


def free_port() -> int:
    """A port of the loopback interface on which nothing listens, and which is not given again for 22,000 calls.

    Raises:
        OperatorError: All are taken.
    """
    for port in itertools.islice(_round, len(_PORTS)):
        try:
            listening_socket(port).close()
        except OperatorError:
            continue
        return port
    raise OperatorError(f"No port from {_PORTS.start} to {_PORTS.stop - 1} is free: end what listens on them.")


def _server(simulation: Simulation) -> uvicorn.Server:
    config = uvicorn.Config(
        simulator_app(simulation),
        http=OpenProtocol,
        log_level="critical",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


def serve(listener: socket.socket, simulation: Simulation, *, ready: Callable[[], None]) -> None:
    """Serves on a socket until interrupted; calls ``ready`` once an interrupt would end it cleanly."""
    server = _server(simulation)

    def end(*_: object) -> None:
        server.should_exit = True

    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, end)
    ready()
    server.run(sockets=[listener])


@contextmanager
def running_simulator(port: int = 0) -> Iterator[RunningSimulator]:
    """Runs a simulator in a thread while the block lasts."""
    simulation = Simulation()
    server = _server(simulation)
    with listening_socket(port) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="simulator", daemon=True)
        thread.start()
        try:
            # The socket listens already: first requests wait in it until the thread takes them.
            yield RunningSimulator(f"http://127.0.0.1:{listener.getsockname()[1]}", simulation)
        finally:
            server.should_exit = True
            thread.join(5)
