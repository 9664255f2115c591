"""Alchemy's names of the chains, and what its calls cost."""

from __future__ import annotations

import re
from typing import Final

from moonx_pipeline.domain.chains import KNOWN_CHAINS

NETWORKS: Final = {chain.id: chain.alchemy_network for chain in KNOWN_CHAINS}
"""Names for requests, by chain id."""

CHAIN_OF_NETWORK: Final = {
    name: chain.id for chain in KNOWN_CHAINS for name in (chain.alchemy_network, *chain.alchemy_other_networks)
}
"""Chain ids by the names in answers: Polygon is returned under its old one."""

CHAIN_OF_WEBHOOK: Final = {name.upper().replace("-", "_"): chain_id for name, chain_id in CHAIN_OF_NETWORK.items()}
"""Chain ids by the names in a webhook's deliveries (``event.network``)."""

_NAMED: Final = re.compile(r"\b[A-Za-z]+(?:[-_][A-Za-z]+)*[-_]mainnet\b", re.IGNORECASE)


def chains_named_in(text: str) -> set[int]:
    """The chains that a refusal names, as in a URL or as in a webhook's deliveries."""
    names = (name.upper().replace("-", "_") for name in _NAMED.findall(text))
    return {CHAIN_OF_WEBHOOK[name] for name in names if name in CHAIN_OF_WEBHOOK}


# Alchemy's price list, in compute units (https://www.alchemy.com/docs/reference/compute-unit-costs).
COMPUTE_UNITS: Final = {
    "tokens/by-address": 360,
    "balances/by-address": 200,
    "prices/by-address": 40,
    "alchemy_getTokenBalances": 20,
    "alchemy_getTokenMetadata": 10,
    "eth_getBalance": 20,
    "eth_blockNumber": 10,
    "eth_call": 26,
    "eth_getLogs": 60,
}
