"""Real assets by their real contracts, with CoinGecko's id of each contract.

CoinGecko lists most bridged tokens as separate coins: WETH has five ids on the five chains. The ids come from public
answers of its ``coins/list``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Asset:
    """One asset and its contracts.

    Attributes:
        symbol, name, decimals: As in the contracts.
        contracts: CoinGecko's id and the contract, by chain id.
    """

    symbol: str
    name: str
    decimals: int
    contracts: Mapping[int, tuple[str, str]]


def _one_id(coin: str, contracts: Mapping[int, str]) -> dict[int, tuple[str, str]]:
    return {chain_id: (coin, contract) for chain_id, contract in contracts.items()}


ASSETS: Final = (
    Asset("WETH", "Wrapped Ether", 18, {
        1: ("weth", "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"),
        137: ("polygon-pos-bridged-weth-polygon-pos", "0x7ceb23fd6bc0add59e62ac25578270cff1b9f619"),
        10: ("l2-standard-bridged-weth-optimism", "0x4200000000000000000000000000000000000006"),
        42161: ("arbitrum-bridged-weth-arbitrum-one", "0x82af49447d8a07e3bd95bd0d56f35241523fbab1"),
        8453: ("l2-standard-bridged-weth-base", "0x4200000000000000000000000000000000000006"),
        59144: ("wrapped-ether-linea", "0xe5d7c2a44ffddf6b295a15c148167daaaf5cf34f"),
        130: ("unichain-bridged-weth-unichain", "0x4200000000000000000000000000000000000006"),
    }),
    Asset("WPOL", "Wrapped POL", 18, {137: ("wmatic", "0x0d500b1d8e8ef31e21c99d1db9a6444d3adf1270")}),
    Asset("WBNB", "Wrapped BNB", 18, {56: ("wbnb", "0xbb4cdb9cbd36b01bd1cbaebf2de08d9173bc095c")}),
    Asset("WAVAX", "Wrapped AVAX", 18, {43114: ("wrapped-avax", "0xb31f66aa3c1e785363f0875a1b74e27b85fd66c7")}),
    Asset("POL", "POL", 18, {1: ("polygon-ecosystem-token", "0x455e53cbb86018ac2b8092fdcd39d8444affc3f6")}),
    Asset("USDC", "USD Coin", 6, _one_id("usd-coin", {
        1: "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48",
        137: "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359",
        10: "0x0b2c639c533813f4aa9d7837caf62653d097ff85",
        42161: "0xaf88d065e77c8cc2239327c5edb3a432268e5831",
        8453: "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913",
        43114: "0xb97ef9ef8734c71904d8002f8b6bc66dd9c48a6e",
        59144: "0x176211869ca2b568f2a7d4ee941e073a821ee1ff",
        130: "0x078d782b760474a361dda0af3839290b0ef57ad6",
    })),
    Asset("USDC.e", "Bridged USDC", 6, {
        137: ("bridged-usdc-polygon-pos-bridge", "0x2791bca1f2de4661ed88a30c99a7a9449aa84174"),
        10: ("bridged-usd-coin-optimism", "0x7f5c764cbc14f9669b88837ca1490cca17c31607"),
        42161: ("usd-coin-ethereum-bridged", "0xff970a61a04b1ca14834a43f5de4533ebddb5cc8"),
    }),
    Asset("USDbC", "USD Base Coin", 6, {
        8453: ("bridged-usd-coin-base", "0xd9aaec86b65d86f6a7b5b1b0c42ffa531710b6ca"),
    }),
    Asset("USDT", "Tether USD", 6, {
        1: ("tether", "0xdac17f958d2ee523a2206206994597c13d831ec7"),
        137: ("usdt0", "0xc2132d05d31c914a87c6611c10748aeb04b58e8f"),
        10: ("bridged-usdt", "0x94b008aa00579c1307b0ef2c499ad98a8ce58e58"),
        42161: ("usdt0", "0xfd086bc7cd5c481dcc9c85ebe478a1c0b69fcbb9"),
    }),
    Asset("USDt", "TetherToken", 6, {43114: ("tether", "0x9702230a8ea53601f5cd2dc00fdbc13d4df4a8c7")}),
    # Binance's own, with 18 decimals; the dollars that they stand for have six.
    Asset("USDC", "USD Coin", 18, {
        56: ("binance-bridged-usdc-bnb-smart-chain", "0x8ac76a51cc950d9822d68b83fe1ad97b32cd580d"),
    }),
    Asset("USDT", "Tether USD", 18, {
        56: ("binance-bridged-usdt-bnb-smart-chain", "0x55d398326f99059ff775485246999027b3197955"),
    }),
    Asset("DAI", "Dai Stablecoin", 18, {
        1: ("dai", "0x6b175474e89094c44da98b954eedeac495271d0f"),
        137: ("polygon-pos-bridged-dai-polygon-pos", "0x8f3cf7ad23cd3cadbd9735aff958023239c6a063"),
        10: ("makerdao-optimism-bridged-dai-optimism", "0xda10009cbd5d07dd0cecc66161fc93d7c9000da1"),
        42161: ("makerdao-arbitrum-bridged-dai-arbitrum-one", "0xda10009cbd5d07dd0cecc66161fc93d7c9000da1"),
        8453: ("l2-standard-bridged-dai-base", "0x50c5725949a6f0c72e6c4a641f24049a917db0cb"),
    }),
    Asset("WBTC", "Wrapped BTC", 8, {
        1: ("wrapped-bitcoin", "0x2260fac5e5542a773aa44fbcfedf7c193bc2c599"),
        137: ("polygon-bridged-wbtc-polygon-pos", "0x1bfd67037b42cf73acf2047067bd4f2c47d9bfd6"),
        10: ("optimism-bridged-wbtc-optimism", "0x68f180fcce6836688e9084f035309e29bf0a2095"),
        42161: ("arbitrum-bridged-wbtc-arbitrum-one", "0x2f2a2543b76a4166549f7aab2e75bef0aefc5b0f"),
    }),
    Asset("LINK", "Chainlink", 18, _one_id("chainlink", {
        1: "0x514910771af9ca656af840dff83e8264ecf986ca",
        137: "0x53e0bca35ec356bd5dddfebbd1fc0fd03fabad39",
        10: "0x350a791bfc2c21f9ed5d10980dad2e2638ffa7f6",
        42161: "0xf97f4df75117a78c1a5a0dbb814af92458539fb4",
        8453: "0x88fb150bdc53a65fe94dea0c9ba0a6daf8c6e196",
    })),
    Asset("UNI", "Uniswap", 18, _one_id("uniswap", {
        1: "0x1f9840a85d5af5bf1d1762f925bdaddc4201f984",
        137: "0xb33eaad8d922b1083446dc23f610c2567fb5180f",
        10: "0x6fd9d7ad17242c41f7131d257212c54a0e816691",
        42161: "0xfa7f8980b0f1e64a2062791cc3b0871572f1f7f0",
        130: "0x8f187aa05619a017077f5308904739877ce9ea21",
    })),
    Asset("AAVE", "Aave", 18, _one_id("aave", {
        1: "0x7fc66500c84a76ad7e9c93437bfc5ac33e2ddae9",
        137: "0xd6df932a45c0f255f85145f286ea0b292b21c90b",
        10: "0x76fb31fb4af56892a25e32cfc43de717950c9278",
        42161: "0xba5ddd1f9d7f570dc94a51479a000e3bce967196",
    })),
    Asset("ARB", "Arbitrum", 18, _one_id("arbitrum", {42161: "0x912ce59144191c1204e64559fe8253a0e49e6548"})),
    Asset("OP", "Optimism", 18, _one_id("optimism", {10: "0x4200000000000000000000000000000000000042"})),
    Asset("LDO", "Lido DAO", 18, _one_id("lido-dao", {1: "0x5a98fcbea516cf06857215779fd812ca3bef1b32"})),
    Asset("CRV", "Curve DAO", 18, _one_id("curve-dao-token", {1: "0xd533a949740bb3306d119cc777fa900ba034cd52"})),
    Asset("GMX", "GMX", 18, _one_id("gmx", {42161: "0xfc5a1a6eb076a2c7ad06ed22c90d7e710e35ad0a"})),
    Asset("SHIB", "Shiba Inu", 18, _one_id("shiba-inu", {1: "0x95ad61b0a150d79219dcf64e1e6cc01f0b64c4ce"})),
    Asset("PEPE", "Pepe", 18, _one_id("pepe", {1: "0x6982508145454ce325ddbe47a25d4ec3d2311933"})),
    Asset("stETH", "Lido Staked Ether", 18, {
        1: ("staked-ether", "0xae7ab96520de3a18e5e111b5eaab095312d7fe84"),
    }),
    Asset("wstETH", "Wrapped stETH", 18, {
        1: ("wrapped-steth", "0x7f39c581f595b53c5cb19bd0b3f8da6c935e2ca0"),
    }),
)  # fmt: skip
"""The assets that this world's wallets hold."""

BINANCE_BASES: Final = (
    "ETH", "POL", "BNB", "AVAX", "USDC", "WBTC", "LINK", "UNI", "AAVE", "ARB", "OP", "LDO", "CRV", "GMX", "SHIB",
    "PEPE",
)  # fmt: skip
"""Base assets that Binance trades against USDT."""

BINANCE_BASE_OF_COIN: Final = {
    "ethereum": "ETH", "weth": "ETH", "polygon-ecosystem-token": "POL", "wmatic": "POL", "binancecoin": "BNB",
    "wbnb": "BNB", "avalanche-2": "AVAX", "wrapped-avax": "AVAX", "usd-coin": "USDC",
    "wrapped-bitcoin": "WBTC", "chainlink": "LINK", "uniswap": "UNI", "aave": "AAVE", "arbitrum": "ARB",
    "optimism": "OP", "lido-dao": "LDO", "curve-dao-token": "CRV", "gmx": "GMX", "shiba-inu": "SHIB", "pepe": "PEPE",
}  # fmt: skip
"""The pair that prices a coin, by CoinGecko's id."""
