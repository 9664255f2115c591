"""The whole system that a browser stands before: Dagster, a warm worker, the gateway, the providers' simulator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.tokens import TOKENS, SimToken, derived_address
from moonx_pipeline.storage.requests.pause import resume
from moonx_pipeline_tests.fixtures.dagster import System, running_system
from moonx_pipeline_tests.fixtures.gateway import GatewayProcess, running_gateway, token_of
from moonx_pipeline_tests.support.syncs import register, sync

ETHEREUM: Final = 1
POLYGON: Final = 137
BASE: Final = 8453


def sim_token(chain_id: int, symbol: str) -> SimToken:
    """A token of the made-up world that is not spam."""
    return next(token for token in TOKENS.values() if (token.chain_id, token.symbol) == (chain_id, symbol))


class Site:
    """A running system, and what its operators and the world around it do."""

    def __init__(self, system: System, gateway: GatewayProcess, simulator: RunningSimulator) -> None:
        self.system = system
        self.gateway = gateway
        self.simulator = simulator

    @property
    def url(self) -> str:
        return self.gateway.url

    def link(self, user_id: str, path: str = "/", *, seconds: float = 600, **claims: Any) -> str:
        """A link that signs a user in once, within a minute, for as many seconds."""
        token = token_of(user_id, seconds=seconds, **claims)
        answer = self.gateway.ask("POST", "/api/v1/session/codes", token)
        return f"{self.url}{path}#code={answer.json()['data']['code']}"

    def stranger(self) -> str:
        """A user without wallets."""
        return f"user-{uuid4().hex[:8]}"

    def member(self, wallet: str | None = None, *, holds: tuple[SimToken, str] | None = None) -> tuple[str, str]:
        """A user and his wallet, which was read a moment ago; of a token it may hold another amount than it would."""
        user_id = self.stranger()
        wallet = wallet or derived_address(f"wallet: {user_id}")
        register(self.system.engine, user_id, wallet)
        if holds is not None:
            self.hold(wallet, *holds)
        self.read(user_id)
        return user_id, wallet

    def read(self, user_id: str) -> None:
        """A sync in this process, without Dagster."""
        sync(self.system.runtime, user_id)

    def sync_by_operator(self, user_id: str) -> None:
        """Asks for a sync as an operator does; who looks at the page did not."""
        process, log = self.system.start(
            "moonx_pipeline", "sync", user_id, "--wait", DAGSTER_GRAPHQL_URL=self.system.graphql
        )
        assert process.wait(60) == 0, log.read_text()

    # What happens in the world

    def hold(self, wallet: str, token: SimToken, amount: str) -> None:
        """Gives a wallet another balance."""
        self.simulator.simulation.world.set_balance(wallet, token, int(Decimal(amount).scaleb(token.decimals or 0)))

    def move_price(self, symbol: str, usd: str) -> None:
        """Moves a price, after a while in which nobody has asked for prices."""
        self.simulator.simulation.world.set_price(symbol, Decimal(usd))
        with self.system.engine.begin() as connection:
            connection.exec_driver_sql(
                "UPDATE token_evidence SET answered_at = answered_at - interval '10 minutes', "
                "read_at = read_at - interval '10 minutes'"
            )

    def take_polygon_down(self, wallet: str) -> None:
        """Polygon answers nothing of a wallet, by neither way."""
        self.simulator.fault("partial_error", network="polygon-mainnet", wallet=wallet)
        self.simulator.fault("outage", network="polygon-mainnet", endpoint="eth_getBalance", wallet=wallet)

    def take_every_chain_down(self, wallet: str) -> None:
        """No chain answers anything of a wallet, by neither way."""
        self.simulator.fault("outage", wallet=wallet)

    def slow_polygon_down(self, wallet: str) -> None:
        """Polygon's answer about a wallet comes byte by byte, while the other chains have answered."""
        self.simulator.fault("partial_error", network="polygon-mainnet", wallet=wallet)
        self.simulator.fault(
            "slow_drip", network="polygon-mainnet", endpoint="eth_getBalance", wallet=wallet, params={"seconds": 0.03}
        )

    def calm_down(self) -> None:
        """All as at the start, for what is shared between users."""
        self.simulator.simulation.reset()
        with self.system.engine.begin() as connection:
            resume(connection)
            connection.exec_driver_sql("DELETE FROM circuit_breakers")
            connection.exec_driver_sql("DELETE FROM token_evidence")


@contextmanager
def running_site(
    server: str, simulator: RunningSimulator, folder: Path, *, daemon: bool = False, **settings: str
) -> Iterator[Site]:
    """A system whose syncs start as soon as they are asked for, until the block ends; nothing else needs the daemon."""
    with running_system(server, simulator, folder, ALCHEMY_RETRY_DELAY="1", **settings) as system:
        worker = system.start_worker()
        system.start_dagster(daemon=daemon)
        with running_gateway(
            system.environment["DATABASE_URL"], folder, DAGSTER_GRAPHQL_URL=system.graphql, **settings
        ) as gateway:
            worker.until_ready()
            yield Site(system, gateway, simulator)
