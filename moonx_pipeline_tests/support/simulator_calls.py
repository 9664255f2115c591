"""Plain requests to the simulator, as any client would send them."""

from __future__ import annotations

from typing import Any

import requests

from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.tokens import SimToken
from moonx_pipeline.simulator.world import PLAIN_WALLET


def get(simulator: RunningSimulator, path: str, **query: str) -> requests.Response:
    return requests.get(f"{simulator.base_url}/{path}", params=query, timeout=10)


def data(
    simulator: RunningSimulator, body: dict, path: str = "balances/by-address", key: str = "k"
) -> requests.Response:
    return requests.post(f"{simulator.base_url}/alchemy/data/v1/{key}/assets/tokens/{path}", json=body, timeout=10)


def asking(*networks: str, wallet: str = PLAIN_WALLET, **options: Any) -> dict:
    return {"addresses": [{"address": wallet, "networks": list(networks)}], **options}


def rows(simulator: RunningSimulator, wallet: str, *networks: str, path: str = "by-address") -> list[dict]:
    return data(simulator, asking(*networks, wallet=wallet), path).json()["data"]["tokens"]


def row_of(simulator: RunningSimulator, wallet: str, token: SimToken, network: str = "eth-mainnet") -> dict:
    (row,) = [row for row in rows(simulator, wallet, network) if row["tokenAddress"] == token.address]
    return row


def rpc(simulator: RunningSimulator, *calls: tuple[str, list], network: str = "eth-mainnet") -> requests.Response:
    batch = [
        {"jsonrpc": "2.0", "id": n, "method": method, "params": params} for n, (method, params) in enumerate(calls)
    ]
    url = f"{simulator.base_url}/alchemy/rpc/{network}/v2/k"
    return requests.post(url, json=batch if len(batch) > 1 else batch[0], timeout=10)


def answers(simulator: RunningSimulator, *calls: tuple[str, list], network: str = "eth-mainnet") -> list[dict]:
    """The answers of a batch in the order of its calls."""
    said = rpc(simulator, *calls, network=network).json()
    return sorted(said if isinstance(said, list) else [said], key=lambda one: one["id"])


def pools(simulator: RunningSimulator, *addresses: str, chain: str = "ethereum") -> Any:
    return get(simulator, f"dexscreener/tokens/v1/{chain}/{','.join(addresses)}").json()


def llama(simulator: RunningSimulator, *keys: str) -> dict:
    return get(simulator, f"defillama/prices/current/{','.join(keys)}").json()["coins"]


def gecko(simulator: RunningSimulator, *coins: str) -> dict:
    query = {"ids": ",".join(coins), "vs_currencies": "usd"}
    extra = {"include_24hr_change": "true", "include_last_updated_at": "true"}
    return get(simulator, "coingecko/api/v3/simple/price", **query, **extra).json()
