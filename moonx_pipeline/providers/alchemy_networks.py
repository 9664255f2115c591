"""Alchemy's names of the chains, and what its calls cost."""

from __future__ import annotations

from typing import Final

NETWORKS: Final = {
    1: "eth-mainnet",
    137: "polygon-mainnet",
    10: "opt-mainnet",
    42161: "arb-mainnet",
    8453: "base-mainnet",
}
"""The names to ask with, by chain id."""

CHAIN_OF_NETWORK: Final = {**{name: chain_id for chain_id, name in NETWORKS.items()}, "matic-mainnet": 137}
"""Chain ids by the names in answers: Polygon comes back under its old one."""

CHAIN_OF_WEBHOOK: Final = {
    "ETH_MAINNET": 1,
    "MATIC_MAINNET": 137,
    "POLYGON_MAINNET": 137,
    "OPT_MAINNET": 10,
    "ARB_MAINNET": 42161,
    "BASE_MAINNET": 8453,
}
"""Chain ids by the names in a webhook's deliveries (``event.network``)."""

# Alchemy's price list, in compute units (https://www.alchemy.com/docs/reference/compute-unit-costs).
COMPUTE_UNITS: Final = {
    "tokens/by-address": 360,
    "balances/by-address": 200,
    "prices/by-address": 40,
    "alchemy_getTokenBalances": 20,
    "alchemy_getTokenMetadata": 10,
    "eth_getBalance": 20,
    "eth_call": 26,
}
