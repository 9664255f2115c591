"""The few assets that other prices depend on, by CoinGecko id; their contracts are in the token registry.

A contract is one of these only if the registry says so: a symbol is never enough, since anyone can forge one.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from moonx_pipeline.domain.chains import KNOWN_CHAINS


class Major(NamedTuple):
    """One asset.

    Attributes:
        binance_base: The base asset of its USDT pair on Binance, if that pair is this very asset.
        coin: The symbol of the native coin that it equals in value.
        is_dollar: Whether it is a US dollar stablecoin, worth about one as the other side of a pool.
    """

    binance_base: str | None = None
    coin: str | None = None
    is_dollar: bool = False


MAJORS: Final = {
    "ethereum": Major("ETH", coin="ETH"),
    "weth": Major("ETH", coin="ETH"),
    "polygon-ecosystem-token": Major("POL", coin="POL"),
    "wmatic": Major("POL", coin="POL"),
    "binancecoin": Major("BNB", coin="BNB"),
    "wbnb": Major("BNB", coin="BNB"),
    "avalanche-2": Major("AVAX", coin="AVAX"),
    "wrapped-avax": Major("AVAX", coin="AVAX"),
    "usd-coin": Major("USDC", is_dollar=True),
    "tether": Major(is_dollar=True),
    "dai": Major(is_dollar=True),
    "wrapped-bitcoin": Major("WBTC"),
    "chainlink": Major("LINK"),
    "uniswap": Major("UNI"),
    "aave": Major("AAVE"),
    "arbitrum": Major("ARB"),
    "optimism": Major("OP"),
    "lido-dao": Major("LDO"),
    "curve-dao-token": Major("CRV"),
    "gmx": Major("GMX"),
    "shiba-inu": Major("SHIB"),
    "pepe": Major("PEPE"),
    "staked-ether": Major(),
    "wrapped-steth": Major(),
    # Bridged dollars, which CoinGecko lists per bridge.
    "bridged-usdc-polygon-pos-bridge": Major(is_dollar=True),
    "bridged-usd-coin-optimism": Major(is_dollar=True),
    "usd-coin-ethereum-bridged": Major(is_dollar=True),
    "bridged-usd-coin-base": Major(is_dollar=True),
    "binance-bridged-usdc-bnb-smart-chain": Major(is_dollar=True),
    "binance-bridged-usdt-bnb-smart-chain": Major(is_dollar=True),
}
"""The majors by CoinGecko id."""

MAJOR_IDS: Final = frozenset(MAJORS)

_COINS: Final = {chain.native.symbol for chain in KNOWN_CHAINS}
_OTHERS: Final = "MATIC BTC WBTC USDC USDC.E USDBC USDT DAI LINK UNI AAVE ARB OP LDO CRV GMX SHIB PEPE STETH WSTETH"
WELL_KNOWN_SYMBOLS: Final = frozenset(_OTHERS.split()) | _COINS | {f"W{symbol}" for symbol in _COINS}
"""Upper-case symbols that forgers like to take."""
