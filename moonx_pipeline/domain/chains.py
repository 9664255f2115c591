"""The five chains a portfolio spans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NATIVE_TOKEN: Final = "0xeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"
"""The address that stands for a chain's native coin (EIP-7528), in lower case."""

NATIVE_DECIMALS: Final = 18


@dataclass(frozen=True, slots=True)
class Chain:
    """One EVM chain.

    Attributes:
        id: The EIP-155 chain id.
        slug: Lower-case name, as in op names and setting names (``fetch_polygon``, ``RPC_URL_POLYGON``).
        name: Name for people.
        native_symbol: Symbol of the native coin, which has 18 decimals on all five.
        native_name: Name of the native coin.
        wrapped_native: Contract of the wrapped native coin, lower case.
        native_as_erc20: Contract that mirrors the native balance as an ERC-20, if the chain has one.
            A row of it is the same money a second time and is never counted.
    """

    id: int
    slug: str
    name: str
    native_symbol: str
    native_name: str
    wrapped_native: str
    native_as_erc20: str | None = None


ETHEREUM: Final = Chain(1, "ethereum", "Ethereum", "ETH", "Ether", "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2")
POLYGON: Final = Chain(
    137,
    "polygon",
    "Polygon",
    "POL",
    "POL",
    "0x0d500b1d8e8ef31e21c99d1db9a6444d3adf1270",
    native_as_erc20="0x0000000000000000000000000000000000001010",
)
OPTIMISM: Final = Chain(10, "optimism", "Optimism", "ETH", "Ether", "0x4200000000000000000000000000000000000006")
ARBITRUM: Final = Chain(42161, "arbitrum", "Arbitrum", "ETH", "Ether", "0x82af49447d8a07e3bd95bd0d56f35241523fbab1")
BASE: Final = Chain(8453, "base", "Base", "ETH", "Ether", "0x4200000000000000000000000000000000000006")

CHAINS: Final = (ETHEREUM, POLYGON, OPTIMISM, ARBITRUM, BASE)
"""All chains, in the order in which people see them."""

CHAIN_BY_ID: Final = {chain.id: chain for chain in CHAINS}
CHAIN_BY_SLUG: Final = {chain.slug: chain for chain in CHAINS}

ZERO_ADDRESS: Final = "0x0000000000000000000000000000000000000000"
_MIRRORS: Final = frozenset({ZERO_ADDRESS, "0xdeaddeaddeaddeaddeaddeaddeaddeaddead0000"})
"""Contracts under which lists and nodes show a native coin a second time: the zero address, and the OP Stack's
``LegacyERC20ETH``, whose ``balanceOf`` answers with the native balance."""


def is_native_mirror(chain_id: int, token: str) -> bool:
    """Whether a lower-case contract is a second face of the chain's native coin, and so never money of its own."""
    return token in _MIRRORS or token == CHAIN_BY_ID[chain_id].native_as_erc20
