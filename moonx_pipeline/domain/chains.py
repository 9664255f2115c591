"""The chains that a portfolio may span: one entry each, from which everything else about a chain is derived.

Providers' maps, settings such as ``RPC_URL_POLYGON``, the order of display and the metrics' labels follow from the
entries. ``CONTRIBUTING.md`` says how to add one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NATIVE_TOKEN: Final = "0xeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"
"""The address that stands for a chain's native coin (EIP-7528), in lower case."""


@dataclass(frozen=True, slots=True)
class NativeCoin:
    """The coin that pays a chain's fees. Chains may share one, as many share Ether.

    Attributes:
        symbol: Its symbol, in upper case. Pools, pairs and wrapped forms of the coin on all chains are one asset.
        name: Its name.
        coingecko_id: CoinGecko's id of the coin, a key of ``MAJORS``.
        decimals: Digits after the decimal point of a balance.
    """

    symbol: str
    name: str
    coingecko_id: str
    decimals: int = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """One EVM chain.

    Attributes:
        id: The EIP-155 chain id.
        slug: Lower-case name, as in the setting ``CHAINS``, in names of settings and of ops (``fetch_polygon``).
        name: The name that users see.
        native: The native coin.
        wrapped_native: Contract of the wrapped native coin, lower case.
        native_mirrors: Contracts of this chain, lower case, that show the native balance a second time as an ERC-20.
            Their rows are never counted.
        alchemy_network: Alchemy's name, as in its URLs and requests; in webhooks, ``eth-mainnet`` is ``ETH_MAINNET``.
        alchemy_other_networks: Its other names in Alchemy's answers and webhooks.
        unsafe_blocks: How many of the newest blocks a reorganisation may replace, or a source may not have yet: some
            ten minutes. A look for changes begins so many blocks before the end of the last one.
        webhook_sees_all: Whether Alchemy's Address Activity webhook reports every movement, including transfers of the
            native coin by contracts. If not, its silence does not mean that nothing moved.
        coingecko_platform: CoinGecko's asset platform.
        dexscreener_slug: DexScreener's name, as in its paths.
        defillama_name: DefiLlama's name, as in the keys of its coins.
    """

    id: int
    slug: str
    name: str
    native: NativeCoin
    wrapped_native: str
    native_mirrors: frozenset[str] = frozenset()
    alchemy_network: str
    alchemy_other_networks: tuple[str, ...] = ()
    unsafe_blocks: int = 300
    webhook_sees_all: bool = False
    coingecko_platform: str
    dexscreener_slug: str
    defillama_name: str


ETHER: Final = NativeCoin("ETH", "Ether", "ethereum")
POL: Final = NativeCoin("POL", "POL", "polygon-ecosystem-token")
BNB_COIN: Final = NativeCoin("BNB", "BNB", "binancecoin")
AVAX: Final = NativeCoin("AVAX", "Avalanche", "avalanche-2")

ETHEREUM: Final = Chain(
    id=1,
    slug="ethereum",
    name="Ethereum",
    native=ETHER,
    wrapped_native="0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2",
    alchemy_network="eth-mainnet",
    unsafe_blocks=64,
    webhook_sees_all=True,
    coingecko_platform="ethereum",
    dexscreener_slug="ethereum",
    defillama_name="ethereum",
)
POLYGON: Final = Chain(
    id=137,
    slug="polygon",
    name="Polygon",
    native=POL,
    wrapped_native="0x0d500b1d8e8ef31e21c99d1db9a6444d3adf1270",
    native_mirrors=frozenset({"0x0000000000000000000000000000000000001010"}),
    alchemy_network="polygon-mainnet",
    alchemy_other_networks=("matic-mainnet",),
    webhook_sees_all=True,
    coingecko_platform="polygon-pos",
    dexscreener_slug="polygon",
    defillama_name="polygon",
)
OPTIMISM: Final = Chain(
    id=10,
    slug="optimism",
    name="Optimism",
    native=ETHER,
    wrapped_native="0x4200000000000000000000000000000000000006",
    alchemy_network="opt-mainnet",
    webhook_sees_all=True,
    coingecko_platform="optimistic-ethereum",
    dexscreener_slug="optimism",
    defillama_name="optimism",
)
ARBITRUM: Final = Chain(
    id=42161,
    slug="arbitrum",
    name="Arbitrum",
    native=ETHER,
    wrapped_native="0x82af49447d8a07e3bd95bd0d56f35241523fbab1",
    alchemy_network="arb-mainnet",
    unsafe_blocks=2400,
    webhook_sees_all=True,
    coingecko_platform="arbitrum-one",
    dexscreener_slug="arbitrum",
    defillama_name="arbitrum",
)
BASE: Final = Chain(
    id=8453,
    slug="base",
    name="Base",
    native=ETHER,
    wrapped_native="0x4200000000000000000000000000000000000006",
    alchemy_network="base-mainnet",
    webhook_sees_all=True,
    coingecko_platform="base",
    dexscreener_slug="base",
    defillama_name="base",
)
BNB: Final = Chain(
    id=56,
    slug="bnb",
    name="BNB Chain",
    native=BNB_COIN,
    wrapped_native="0xbb4cdb9cbd36b01bd1cbaebf2de08d9173bc095c",
    alchemy_network="bnb-mainnet",
    coingecko_platform="binance-smart-chain",
    dexscreener_slug="bsc",
    defillama_name="bsc",
)
AVALANCHE: Final = Chain(
    id=43114,
    slug="avalanche",
    name="Avalanche",
    native=AVAX,
    wrapped_native="0xb31f66aa3c1e785363f0875a1b74e27b85fd66c7",
    alchemy_network="avax-mainnet",
    coingecko_platform="avalanche",
    dexscreener_slug="avalanche",
    defillama_name="avax",
)
LINEA: Final = Chain(
    id=59144,
    slug="linea",
    name="Linea",
    native=ETHER,
    wrapped_native="0xe5d7c2a44ffddf6b295a15c148167daaaf5cf34f",
    alchemy_network="linea-mainnet",
    coingecko_platform="linea",
    dexscreener_slug="linea",
    defillama_name="linea",
)
UNICHAIN: Final = Chain(
    id=130,
    slug="unichain",
    name="Unichain",
    native=ETHER,
    wrapped_native="0x4200000000000000000000000000000000000006",
    alchemy_network="unichain-mainnet",
    coingecko_platform="unichain",
    dexscreener_slug="unichain",
    defillama_name="unichain",
)

KNOWN_CHAINS: Final = (ETHEREUM, POLYGON, OPTIMISM, ARBITRUM, BASE, BNB, AVALANCHE, LINEA, UNICHAIN)
"""All chains that can be read, in display order. The setting ``CHAINS`` selects those that are."""

DEFAULT_CHAINS: Final = (ETHEREUM, POLYGON, OPTIMISM, ARBITRUM, BASE)
"""The chains that are read if the setting ``CHAINS`` is not set."""

CHAIN_BY_ID: Final = {chain.id: chain for chain in KNOWN_CHAINS}
CHAIN_BY_SLUG: Final = {chain.slug: chain for chain in KNOWN_CHAINS}
DISPLAY_ORDER: Final = {chain.id: place for place, chain in enumerate(KNOWN_CHAINS)}

ZERO_ADDRESS: Final = "0x0000000000000000000000000000000000000000"
_MIRRORS: Final = frozenset({ZERO_ADDRESS, "0xdeaddeaddeaddeaddeaddeaddeaddeaddead0000"})
"""Contracts under which lists and nodes show a native coin a second time: the zero address, and the OP Stack's
``LegacyERC20ETH``, whose ``balanceOf`` answers with the native balance."""


MIRRORS: Final = {chain.id: _MIRRORS.union(chain.native_mirrors) for chain in KNOWN_CHAINS}
"""Lower-case contracts by chain that show its native coin a second time, and so never count as money."""


def is_native_mirror(chain_id: int, token: str) -> bool:
    """Whether a contract is one of ``MIRRORS``."""
    return token in MIRRORS[chain_id]
