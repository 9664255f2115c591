"""The providers of balances and prices, one entry each: labels, circuit breakers and metrics follow from it."""

from __future__ import annotations

from typing import Final, NamedTuple


class ProviderEntry(NamedTuple):
    """What is known about a provider.

    Attributes:
        id: As calls are counted and stored: in rate limits, metrics, evidence and events.
        label: What people read.
        breakers: The keys of its circuit breakers that all chains share.
        breaks_by_chain: Whether each chain has a breaker of its own, too.
    """

    id: str
    label: str
    breakers: tuple[str, ...] = ()
    breaks_by_chain: bool = False

    def breaker_of(self, chain_id: int) -> str:
        """The key of its breaker of one chain."""
        return f"{self.id}:{chain_id}"


ALCHEMY_DATA: Final = "alchemy:data"
"""The breaker of Alchemy's API for several wallets and networks a call; its JSON-RPC is the way after it."""

ALCHEMY_PRICES: Final = "alchemy:prices"

ALCHEMY: Final = ProviderEntry("alchemy", "Alchemy", (ALCHEMY_DATA, ALCHEMY_PRICES), breaks_by_chain=True)
NODE: Final = ProviderEntry("rpc", "your node", breaks_by_chain=True)
BINANCE: Final = ProviderEntry("binance", "Binance", ("binance",))
COINGECKO: Final = ProviderEntry("coingecko", "CoinGecko", ("coingecko",))
DEXSCREENER: Final = ProviderEntry("dexscreener", "DexScreener", ("dexscreener",))
DEFILLAMA: Final = ProviderEntry("defillama", "DefiLlama", ("defillama",))

PROVIDERS: Final = {entry.id: entry for entry in (ALCHEMY, NODE, BINANCE, COINGECKO, DEXSCREENER, DEFILLAMA)}


def label_of(provider: str) -> str:
    """A provider's label; an id that has no entry is its own label."""
    entry = PROVIDERS.get(provider)
    return entry.label if entry else provider
