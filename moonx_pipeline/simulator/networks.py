"""The chains and their names at each provider, from the providers' own documents.

None of it comes from the pipeline: a wrong name there must fail against the right one here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NATIVE_TOKEN: Final = "0x" + "e" * 40
"""The address of a chain's native coin in this world (EIP-7528)."""

ZERO_ADDRESS: Final = "0x" + "0" * 40
"""The address of a native coin at DexScreener and DefiLlama."""


@dataclass(frozen=True, slots=True)
class SimChain:
    """A chain.

    Attributes:
        id: EIP-155 chain id.
        slug: As in the setting ``RPC_URL_<SLUG>``.
        coin: Symbol of the native coin.
        coin_name: Name of the native coin.
        wrapped_coin: Contract of the wrapped native coin.
        alchemy: Network slugs that Alchemy accepts.
        alchemy_answers: The slug in the answers of Alchemy's data API.
        coingecko: CoinGecko's asset platform.
        coingecko_coin: CoinGecko's id of the native coin.
        dexscreener, defillama: The chain's name in paths and keys.
        block: Number of the newest block at the start.
    """

    id: int
    slug: str
    coin: str
    coin_name: str
    wrapped_coin: str
    alchemy: tuple[str, ...]
    alchemy_answers: str
    coingecko: str
    coingecko_coin: str
    dexscreener: str
    defillama: str
    block: int


CHAINS: Final = (
    SimChain(
        1, "ethereum", "ETH", "Ether", "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2",
        ("eth-mainnet",), "eth-mainnet", "ethereum", "ethereum", "ethereum", "ethereum", 24_100_000,
    ),
    SimChain(
        137, "polygon", "POL", "POL", "0x0d500b1d8e8ef31e21c99d1db9a6444d3adf1270",
        ("polygon-mainnet", "matic-mainnet"), "matic-mainnet", "polygon-pos", "polygon-ecosystem-token",
        "polygon", "polygon", 81_200_000,
    ),
    SimChain(
        10, "optimism", "ETH", "Ether", "0x4200000000000000000000000000000000000006",
        ("opt-mainnet",), "opt-mainnet", "optimistic-ethereum", "ethereum", "optimism", "optimism", 146_300_000,
    ),
    SimChain(
        42161, "arbitrum", "ETH", "Ether", "0x82af49447d8a07e3bd95bd0d56f35241523fbab1",
        ("arb-mainnet",), "arb-mainnet", "arbitrum-one", "ethereum", "arbitrum", "arbitrum", 418_000_000,
    ),
    SimChain(
        8453, "base", "ETH", "Ether", "0x4200000000000000000000000000000000000006",
        ("base-mainnet",), "base-mainnet", "base", "ethereum", "base", "base", 40_700_000,
    ),
    SimChain(
        56, "bnb", "BNB", "BNB", "0xbb4cdb9cbd36b01bd1cbaebf2de08d9173bc095c",
        ("bnb-mainnet",), "bnb-mainnet", "binance-smart-chain", "binancecoin", "bsc", "bsc", 71_500_000,
    ),
    SimChain(
        43114, "avalanche", "AVAX", "Avalanche", "0xb31f66aa3c1e785363f0875a1b74e27b85fd66c7",
        ("avax-mainnet",), "avax-mainnet", "avalanche", "avalanche-2", "avalanche", "avax", 73_900_000,
    ),
    SimChain(
        59144, "linea", "ETH", "Ether", "0xe5d7c2a44ffddf6b295a15c148167daaaf5cf34f",
        ("linea-mainnet",), "linea-mainnet", "linea", "ethereum", "linea", "linea", 26_800_000,
    ),
    SimChain(
        130, "unichain", "ETH", "Ether", "0x4200000000000000000000000000000000000006",
        ("unichain-mainnet",), "unichain-mainnet", "unichain", "ethereum", "unichain", "unichain", 35_600_000,
    ),
)  # fmt: skip
"""In the order of display."""

USUAL_CHAINS: Final = CHAINS[:5]
"""The chains on which every wallet holds something and which have spam; on the others only one wallet does."""

CHAIN_BY_ID: Final = {chain.id: chain for chain in CHAINS}
CHAIN_OF_NETWORK: Final = {name: chain for chain in CHAINS for name in chain.alchemy}
CHAIN_OF_PLATFORM: Final = {chain.coingecko: chain for chain in CHAINS}
CHAIN_OF_DEX: Final = {chain.dexscreener: chain for chain in CHAINS}
CHAIN_OF_LLAMA: Final = {chain.defillama: chain for chain in CHAINS}
