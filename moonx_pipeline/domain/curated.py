"""Tokens whose contracts are known for sure, and the names under which price sources list them.

A symbol is never enough to name a token, since anyone can forge one; a contract in this table is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from moonx_pipeline.domain.chains import CHAIN_BY_SLUG, CHAINS, NATIVE_DECIMALS, NATIVE_TOKEN
from moonx_pipeline.domain.portfolio import TokenInfo, TokenKey


@dataclass(frozen=True, slots=True)
class CuratedToken:
    """One asset and its contracts.

    Attributes:
        symbol: Its right symbol.
        name: Its name.
        decimals: As its contracts say.
        binance_base: Base asset of its USDT pair on Binance, where it has one that is this very asset.
        coingecko_id: Its id at CoinGecko.
        is_dollar: A stablecoin of the US dollar, trusted as the other side of a pool.
    """

    symbol: str
    name: str
    decimals: int
    binance_base: str | None
    coingecko_id: str
    is_dollar: bool = False

    @property
    def info(self) -> TokenInfo:
        return TokenInfo(self.symbol, self.name, self.decimals)


_ETH = CuratedToken("ETH", "Ether", NATIVE_DECIMALS, "ETH", "ethereum")
_WETH = CuratedToken("WETH", "Wrapped Ether", 18, "ETH", "weth")
_POL = CuratedToken("POL", "POL", NATIVE_DECIMALS, "POL", "polygon-ecosystem-token")
_WPOL = CuratedToken("WPOL", "Wrapped POL", 18, "POL", "wmatic")
_USDC = CuratedToken("USDC", "USD Coin", 6, "USDC", "usd-coin", is_dollar=True)
_USDC_E = CuratedToken("USDC.e", "Bridged USDC", 6, None, "bridged-usdc", is_dollar=True)
_USDBC = CuratedToken("USDbC", "USD Base Coin", 6, None, "bridged-usd-coin-base", is_dollar=True)
_USDT = CuratedToken("USDT", "Tether USD", 6, None, "tether", is_dollar=True)
_DAI = CuratedToken("DAI", "Dai Stablecoin", 18, None, "dai", is_dollar=True)
_WBTC = CuratedToken("WBTC", "Wrapped BTC", 8, "WBTC", "wrapped-bitcoin")


def _listed(symbol: str, name: str, coingecko_id: str, *, on_binance: bool = True) -> CuratedToken:
    return CuratedToken(symbol, name, 18, symbol if on_binance else None, coingecko_id)


_CONTRACTS: Final[tuple[tuple[CuratedToken, dict[str, str]], ...]] = (
    (
        _WETH,
        {
            "ethereum": "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2",
            "polygon": "0x7ceb23fd6bc0add59e62ac25578270cff1b9f619",
            "optimism": "0x4200000000000000000000000000000000000006",
            "arbitrum": "0x82af49447d8a07e3bd95bd0d56f35241523fbab1",
            "base": "0x4200000000000000000000000000000000000006",
        },
    ),
    (_WPOL, {"polygon": "0x0d500b1d8e8ef31e21c99d1db9a6444d3adf1270"}),
    (_POL, {"ethereum": "0x455e53cbb86018ac2b8092fdcd39d8444affc3f6"}),
    (
        _USDC,
        {
            "ethereum": "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48",
            "polygon": "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359",
            "optimism": "0x0b2c639c533813f4aa9d7837caf62653d097ff85",
            "arbitrum": "0xaf88d065e77c8cc2239327c5edb3a432268e5831",
            "base": "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913",
        },
    ),
    (
        _USDC_E,
        {
            "polygon": "0x2791bca1f2de4661ed88a30c99a7a9449aa84174",
            "optimism": "0x7f5c764cbc14f9669b88837ca1490cca17c31607",
            "arbitrum": "0xff970a61a04b1ca14834a43f5de4533ebddb5cc8",
        },
    ),
    (_USDBC, {"base": "0xd9aaec86b65d86f6a7b5b1b0c42ffa531710b6ca"}),
    (
        _USDT,
        {
            "ethereum": "0xdac17f958d2ee523a2206206994597c13d831ec7",
            "polygon": "0xc2132d05d31c914a87c6611c10748aeb04b58e8f",
            "optimism": "0x94b008aa00579c1307b0ef2c499ad98a8ce58e58",
            "arbitrum": "0xfd086bc7cd5c481dcc9c85ebe478a1c0b69fcbb9",
        },
    ),
    (
        _DAI,
        {
            "ethereum": "0x6b175474e89094c44da98b954eedeac495271d0f",
            "polygon": "0x8f3cf7ad23cd3cadbd9735aff958023239c6a063",
            "optimism": "0xda10009cbd5d07dd0cecc66161fc93d7c9000da1",
            "arbitrum": "0xda10009cbd5d07dd0cecc66161fc93d7c9000da1",
            "base": "0x50c5725949a6f0c72e6c4a641f24049a917db0cb",
        },
    ),
    (
        _WBTC,
        {
            "ethereum": "0x2260fac5e5542a773aa44fbcfedf7c193bc2c599",
            "polygon": "0x1bfd67037b42cf73acf2047067bd4f2c47d9bfd6",
            "optimism": "0x68f180fcce6836688e9084f035309e29bf0a2095",
            "arbitrum": "0x2f2a2543b76a4166549f7aab2e75bef0aefc5b0f",
        },
    ),
    (
        _listed("LINK", "Chainlink", "chainlink"),
        {
            "ethereum": "0x514910771af9ca656af840dff83e8264ecf986ca",
            "polygon": "0x53e0bca35ec356bd5dddfebbd1fc0fd03fabad39",
            "optimism": "0x350a791bfc2c21f9ed5d10980dad2e2638ffa7f6",
            "arbitrum": "0xf97f4df75117a78c1a5a0dbb814af92458539fb4",
            "base": "0x88fb150bdc53a65fe94dea0c9ba0a6daf8c6e196",
        },
    ),
    (
        _listed("UNI", "Uniswap", "uniswap"),
        {
            "ethereum": "0x1f9840a85d5af5bf1d1762f925bdaddc4201f984",
            "polygon": "0xb33eaad8d922b1083446dc23f610c2567fb5180f",
            "optimism": "0x6fd9d7ad17242c41f7131d257212c54a0e816691",
            "arbitrum": "0xfa7f8980b0f1e64a2062791cc3b0871572f1f7f0",
        },
    ),
    (
        _listed("AAVE", "Aave", "aave"),
        {
            "ethereum": "0x7fc66500c84a76ad7e9c93437bfc5ac33e2ddae9",
            "polygon": "0xd6df932a45c0f255f85145f286ea0b292b21c90b",
            "optimism": "0x76fb31fb4af56892a25e32cfc43de717950c9278",
            "arbitrum": "0xba5ddd1f9d7f570dc94a51479a000e3bce967196",
        },
    ),
    (_listed("ARB", "Arbitrum", "arbitrum"), {"arbitrum": "0x912ce59144191c1204e64559fe8253a0e49e6548"}),
    (_listed("OP", "Optimism", "optimism"), {"optimism": "0x4200000000000000000000000000000000000042"}),
    (_listed("LDO", "Lido DAO", "lido-dao"), {"ethereum": "0x5a98fcbea516cf06857215779fd812ca3bef1b32"}),
    (_listed("CRV", "Curve DAO", "curve-dao-token"), {"ethereum": "0xd533a949740bb3306d119cc777fa900ba034cd52"}),
    (_listed("GMX", "GMX", "gmx"), {"arbitrum": "0xfc5a1a6eb076a2c7ad06ed22c90d7e710e35ad0a"}),
    (_listed("SHIB", "Shiba Inu", "shiba-inu"), {"ethereum": "0x95ad61b0a150d79219dcf64e1e6cc01f0b64c4ce"}),
    (_listed("PEPE", "Pepe", "pepe"), {"ethereum": "0x6982508145454ce325ddbe47a25d4ec3d2311933"}),
    (
        _listed("stETH", "Lido Staked Ether", "staked-ether", on_binance=False),
        {"ethereum": "0xae7ab96520de3a18e5e111b5eaab095312d7fe84"},
    ),
    (
        _listed("wstETH", "Wrapped stETH", "wrapped-steth", on_binance=False),
        {"ethereum": "0x7f39c581f595b53c5cb19bd0b3f8da6c935e2ca0"},
    ),
)

CURATED: Final[dict[TokenKey, CuratedToken]] = {
    **{TokenKey(chain.id, NATIVE_TOKEN): _POL if chain.native_symbol == "POL" else _ETH for chain in CHAINS},
    **{
        TokenKey(CHAIN_BY_SLUG[slug].id, address): token
        for token, contracts in _CONTRACTS
        for slug, address in contracts.items()
    },
}
"""Every curated token by chain and contract, native coins included."""

USDT_KEY: Final = TokenKey(1, "0xdac17f958d2ee523a2206206994597c13d831ec7")
"""The token whose price turns a quote in USDT into one in USD."""

# CoinGecko lists bridged dollars bridge by bridge, so they are asked for by contract instead.
COINGECKO_IDS: Final = {key: token.coingecko_id for key, token in CURATED.items() if token not in (_USDC_E, _USDBC)}
BINANCE_SYMBOLS: Final = {key: f"{token.binance_base}USDT" for key, token in CURATED.items() if token.binance_base}
CURATED_SYMBOLS: Final = frozenset(token.symbol.upper() for token in CURATED.values()) | {"BTC", "MATIC"}


def curated_contracts(chain_id: int) -> tuple[str, ...]:
    """The curated contracts of a chain, without its native coin."""
    return tuple(key.address for key in CURATED if key.chain_id == chain_id and key.address != NATIVE_TOKEN)
