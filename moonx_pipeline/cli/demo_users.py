"""The users of the demo, each with a story."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moonx_pipeline.domain.chains import DEFAULT_CHAINS
from moonx_pipeline.settings import load_settings
from moonx_pipeline.simulator.world import (
    EMPTY_WALLET,
    EVERY_CHAIN_WALLET,
    PLAIN_WALLET,
    POLYGON_WALLET,
    SPAM_WALLET,
    THREE_WALLETS,
)

if TYPE_CHECKING:
    from moonx_pipeline.simulator.server import RunningSimulator


@dataclass(frozen=True, slots=True)
class DemoUser:
    """A user of the demo, and what it shows."""

    user_id: str
    story: str
    wallets: tuple[str, ...]
    meanwhile: Callable[[], str] | None = None  # changes the world and says how; then the user is synced again


def everyday_users() -> list[DemoUser]:
    """Ordinary users."""
    return [
        DemoUser("demo-plain", "one wallet, five chains", (PLAIN_WALLET,)),
        DemoUser("demo-three-wallets", "three wallets in one portfolio", THREE_WALLETS),
    ]


def simulated_users(simulator: RunningSimulator) -> list[DemoUser]:
    """The ordinary users, and users with faults in the simulated world."""
    return [
        *everyday_users(),
        DemoUser("demo-spam", "3,000 tokens, most of them spam", (SPAM_WALLET,)),
        DemoUser(
            "demo-polygon-down",
            "Polygon stops answering after the first sync",
            (POLYGON_WALLET,),
            meanwhile=lambda: _polygon_goes_down(simulator),
        ),
        DemoUser("demo-empty", "a wallet that holds nothing", (EMPTY_WALLET,)),
        *_users_of_more_chains(),
    ]


def _users_of_more_chains() -> list[DemoUser]:
    if set(load_settings().chains) <= set(DEFAULT_CHAINS):
        return []
    return [DemoUser("demo-every-chain", "one wallet, something on every chain", (EVERY_CHAIN_WALLET,))]


def _polygon_goes_down(simulator: RunningSimulator) -> str:
    simulator.fault("partial_error", network="polygon-mainnet", wallet=POLYGON_WALLET)
    simulator.fault("outage", network="polygon-mainnet", wallet=POLYGON_WALLET, endpoint="eth_getBalance")
    return "Polygon goes down, for Alchemy's data API and its JSON-RPC."
