"""The tokens of the simulated world: real ones by their real contracts, and every kind that wallets collect."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from moonx_pipeline.simulator.assets import ASSETS
from moonx_pipeline.simulator.networks import CHAINS, NATIVE_TOKEN, USUAL_CHAINS

_ASSET_PRICES: Final = {
    "ETH": "2500.10", "WETH": "2500.10", "POL": "0.4512", "WPOL": "0.4512", "USDC": "0.9998", "USDC.e": "0.9991",
    "USDT": "1", "DAI": "0.9999", "WBTC": "64210.55", "LINK": "14.32", "UNI": "8.91", "AAVE": "171.4", "ARB": "0.5521",
    "OP": "1.203", "LDO": "1.11", "CRV": "0.402", "GMX": "27.6", "SHIB": "0.0000134", "PEPE": "0.00000791",
    "stETH": "2498.7", "wstETH": "2951.2", "USDbC": "0.9992", "BNB": "612.4", "WBNB": "612.4",
    "AVAX": "27.35", "WAVAX": "27.35", "USDt": "1",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SimToken:
    """A token contract, and what each source knows about it.

    Attributes:
        chain_id: Its chain.
        address: Lower case; ``NATIVE_TOKEN`` for the native coin.
        symbol, name, decimals: As in the contract, even if nonsense; ``None`` if it has none.
        price: Name of its price in the world; ``None`` if nobody has one.
        listed: Whether CoinGecko lists its contract.
        pool_usd: USD on the other side of its deepest pool; ``None`` if it has no pool.
        alchemy_price: A price that only Alchemy and its pools give.
        coingecko_id: The coin under which CoinGecko lists the contract; made up if only ``listed`` is set.
        logo: URL of its image.
    """

    chain_id: int
    address: str
    symbol: Any
    name: Any
    decimals: Any
    price: str | None = None
    listed: bool = False
    pool_usd: int | None = None
    alchemy_price: str | None = None
    coingecko_id: str | None = None
    logo: Any = None

    @property
    def coin(self) -> str | None:
        """CoinGecko's id of the coin; ``None`` if the contract is not listed."""
        return (self.coingecko_id or f"listed-{self.address}") if self.listed else None

    @property
    def is_native(self) -> bool:
        return self.address == NATIVE_TOKEN


def derived_address(label: str) -> str:
    """An address that depends only on its label."""
    return "0x" + hashlib.sha256(label.encode()).hexdigest()[:40]


_LONG_TAIL: Final = (
    ("NIMB", "Nimbus Network", 18, "1.27", 850_000),
    ("KELP", "Kelp Restake", 18, "0.0842", 310_000),
    ("BRINE", "Brine Fi Token", 9, "3.415", 95_000),
    ("OAK", "Oakfield", 6, "0.00000413", 41_000),
    ("MESA", "Mesa Credit", 8, "22.9", 1_900_000),
)
PRICES: Final = _ASSET_PRICES | {symbol: price for symbol, _, _, price, _ in _LONG_TAIL}
"""USD at the start, by symbol."""


def _long_tail(chain_id: int) -> list[SimToken]:
    tokens = [
        SimToken(chain_id, derived_address(f"{chain_id}:{symbol}"), symbol, name, decimals, symbol, False, pool)
        for symbol, name, decimals, _, pool in _LONG_TAIL
    ]
    vault = SimToken(chain_id, derived_address(f"{chain_id}:vault"), "vMESA", "Mesa Vault Share", 18)
    return [*tokens, vault]


def spam_token(number: int) -> SimToken:
    """A spam token by its number; there are unlimited ones, of every kind in turn."""
    chain_id = USUAL_CHAINS[number % len(USUAL_CHAINS)].id
    address = derived_address(f"spam:{number}")
    kinds = (
        (f"CLAIM{number}", f"Visit free-drop-{number}.xyz to claim", 18, None, None),
        ("USDC", "USD Coin", 6, None, None),
        (f"$ {number} REWARD", f"Voucher {number}", 0, None, None),
        ("U\u0405DT", "Tether USD", 6, None, None),  # a Cyrillic letter
        (f"RICH{number}", f"Rich Dog {number}", 18, 350, "41000.5"),  # a price, and almost no pool
        (None, None, 18, None, None),
        ("ETH\u200b", "Ether", 18, None, None),  # a zero-width space
        (f"MOON{number}", f"moon{number}.io airdrop", None, None, None),
    )
    symbol, name, decimals, pool, alchemy_price = kinds[number % len(kinds)]
    return SimToken(chain_id, address, symbol, name, decimals, None, False, pool, alchemy_price)


_DEEP_USD: Final = 25_000_000


def _native_coins() -> list[SimToken]:
    return [
        SimToken(
            chain.id,
            NATIVE_TOKEN,
            chain.coin,
            chain.coin_name,
            18,
            chain.coin,
            True,
            _DEEP_USD,
            None,
            chain.coingecko_coin,
        )
        for chain in CHAINS
    ]


def _assets() -> list[SimToken]:
    return [
        SimToken(chain_id, contract, a.symbol, a.name, a.decimals, a.symbol, True, _DEEP_USD, None, coin)
        for a in ASSETS
        for chain_id, (coin, contract) in a.contracts.items()
    ]


TOKENS: Final = {
    (token.chain_id, token.address): token
    for token in [*_native_coins(), *_assets(), *(token for chain in CHAINS for token in _long_tail(chain.id))]
}
"""The tokens that are not spam, by chain and address."""

HOSTILE: Final = SimToken(1, derived_address("hostile"), "<img onerror=alert(1)>", "\u202eevil\x1b[2J", 18)
"""A token whose name attacks the program that displays it."""
