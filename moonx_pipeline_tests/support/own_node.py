"""A node of one's own as the only source of balances: settings for it, and what it says by single calls."""

from __future__ import annotations

from collections.abc import Sequence

import requests

from moonx_pipeline.domain.chains import NATIVE_TOKEN
from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.evm_chain import EvmChain
from moonx_pipeline.simulator.server import RunningSimulator

_CALLS_A_BATCH = 2000


def node_settings(simulator: RunningSimulator, url: str, **more: str) -> Settings:
    """Balances of Ethereum from a node, prices from the simulator."""
    prices = {name: value for name, value in simulator.environment().items() if "ALCHEMY" not in name}
    own = {"CHAINS": "ethereum", "RPC_URL_ETHEREUM": url, "ALCHEMY_RETRY_DELAY": "1", "WORKER_RETRY_DELAY": "20"}
    return Settings.from_environment({**prices, **own, **more})


def held_on_chain(chain: EvmChain, wallets: Sequence[str], tokens: Sequence[str]) -> dict[tuple[str, str], int]:
    """Balances above zero by wallet and token, native coins too, by the chain's own answers, a call each."""
    asked = [(one, token) for one in wallets for token in (NATIVE_TOKEN, *tokens)]
    found: dict[tuple[str, str], int] = {}
    with requests.Session() as http:
        http.trust_env = False
        for start in range(0, len(asked), _CALLS_A_BATCH):
            part = asked[start : start + _CALLS_A_BATCH]
            body = [
                {"jsonrpc": "2.0", "id": number, "method": "eth_getBalance", "params": [one, "latest"]}
                if token == NATIVE_TOKEN
                else {
                    "jsonrpc": "2.0",
                    "id": number,
                    "method": "eth_call",
                    "params": [{"to": token, "data": f"0x70a08231{one[2:]:0>64}"}, "latest"],
                }
                for number, (one, token) in enumerate(part)
            ]
            for answer in http.post(chain.url, json=body, timeout=60).json():
                if balance := int(answer["result"], 16):
                    found[part[answer["id"]]] = balance
    return found
