"""The demo on real EVM chains: a local node for each, real contracts, real transfers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from moonx_pipeline.cli.demo_users import DemoUser
from moonx_pipeline.settings import load_settings
from moonx_pipeline.simulator.evm_world import EvmWorld, running_evm


def cache_folder() -> Path:
    """Where downloaded nodes and compilers are kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "moonx"


@contextmanager
def evm_users(console: Console) -> Iterator[tuple[dict[str, str], list[DemoUser]]]:
    """Chains with funded wallets: the settings that name their nodes, and the users who own the wallets."""
    chains = load_settings().chains
    console.print(f"Balances: {len(chains)} real EVM nodes on this machine (anvil), read by plain JSON-RPC.")
    with running_evm(cache_folder(), [chain.slug for chain in chains]) as world:
        first, second = world.wallets
        yield (
            world.environment(),
            [
                DemoUser(
                    "demo-evm",
                    f"real ERC-20 contracts on {len(chains)} chains",
                    (first,),
                    meanwhile=lambda: _pay(world, first, second),
                ),
                DemoUser("demo-evm-paid", "the wallet that was paid", (second,)),
            ],
        )


def _pay(world: EvmWorld, sender: str, to: str) -> str:
    """Transfers some USDC on every chain."""
    for chain_id in world.chains:
        usdc = world.tokens[chain_id]["usdc"]
        world.transfer(chain_id, usdc, world.units(chain_id, usdc, "1000"), sender=sender, to=to)
    return f"{sender} pays {to} 1,000 USDC on each chain."
