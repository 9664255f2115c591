"""Tokens that only special wallets hold: real ones that look like spam, and ones with unusual pools."""

from __future__ import annotations

from typing import Final

from moonx_pipeline.simulator.networks import NATIVE_TOKEN
from moonx_pipeline.simulator.pools import Pool
from moonx_pipeline.simulator.tokens import SimToken, derived_address

RARE_PRICES: Final = {
    "MATIC": "0.4512", "YFI": "5210.4", "ETHFI": "1.02", "CRO": "0.0931", "VIRTUAL": "1.31", "AERO": "0.87",
    "cbBTC": "64190.2", "LUNARA": "0.0412", "ECHOA": "0.00197", "FOURTH": "0.318", "BITTEN": "7.77", "MUTE": "0.61",
    "ADRIFT": "2.05", "PUDDLE": "0.0834", "HEAP": "1",
}  # fmt: skip
"""USD at the start, by symbol."""

_DEEP_USD: Final = 25_000_000


def _real(chain_id: int, contract: str, symbol: str, name: str, coin: str, decimals: int = 18) -> SimToken:
    return SimToken(chain_id, contract, symbol, name, decimals, symbol, True, _DEEP_USD, None, coin)


def _made_up(chain_id: int, symbol: str, name: str, pool_usd: int | None = None) -> SimToken:
    return SimToken(chain_id, derived_address(f"{chain_id}:{symbol}"), symbol, name, 18, symbol, False, pool_usd)


VIRTUAL: Final = _real(
    8453, "0x0b3e328455c4059eeb9e3f84b5543f74e24e7e1b", "VIRTUAL", "Virtual Protocol", "virtual-protocol"
)
_WBTC: Final = "0x2260fac5e5542a773aa44fbcfedf7c193bc2c599"
_LUNARA: Final = _made_up(8453, "LUNARA", "Lunara by Virtuals", 750_000)

DECEPTIVE: Final = (
    # Names that contain a domain, and symbols of other well-known contracts.
    _real(1, "0x0bc529c00c6401aef6d220be8c6ea1667f6ad93e", "YFI", "yearn.finance", "yearn-finance"),
    _real(1, "0xfe0c30065b384f05761f15d0cc899d4f9f9cc0eb", "ETHFI", "ether.fi governance token", "ether-fi"),
    _real(1, "0xa0b73e1ff0b80914ab6fe0444e65848c4c34450b", "CRO", "Crypto.com Coin", "crypto-com-chain", 8),
    _real(1, "0x7d1afa7b718fb893db30a3abc0cfc608aacfebb0", "MATIC", "Matic Token", "matic-network"),
    _real(
        10,
        "0x1f32b1c2345538c0c6f582fcb022739c4a194ebb",
        "wstETH",
        "Wrapped liquid staked Ether 2.0",
        "superbridge-bridged-wsteth-optimism",
    ),
    _real(10, "0xfdb794692724153d1488ccdbe0c56c252596735f", "LDO", "Lido DAO Token", "lido-dao"),
    _real(
        42161,
        "0x5979d7b546e38e414f7e9822514be443a4800529",
        "wstETH",
        "Wrapped liquid staked Ether 2.0",
        "arbitrum-bridged-wsteth-arbitrum",
    ),
    _real(42161, "0x11cdb42b0eb46d95f990bedd4695a6e3fa034978", "CRV", "Curve DAO Token", "curve-dao-token"),
    _real(
        8453,
        "0xc1cba3fcea344f92d9239c08c0568f6f2f0ee452",
        "wstETH",
        "Wrapped liquid staked Ether 2.0",
        "superbridge-bridged-wsteth-base",
    ),
    _real(8453, "0xfde4c96c8593536e31f229ea8f37b2ada2699bb2", "USDT", "Tether USD", "l2-standard-bridged-usdt-base", 6),
)
"""Listed tokens with deep pools, and a name or symbol like an impostor's."""

POOLED: Final[tuple[tuple[SimToken, tuple[Pool, ...]], ...]] = (
    (VIRTUAL, (Pool(9_400_000),)),
    (
        _real(8453, "0x940181a94a35a4569e4529a3cdfb74e38fd98631", "AERO", "Aerodrome", "aerodrome-finance"),
        (Pool(12_000_000),),
    ),
    (
        _real(
            8453,
            "0xcbb7c0000ab88b473b1f5afd9ef808440eed33bf",
            "cbBTC",
            "Coinbase Wrapped BTC",
            "coinbase-wrapped-btc",
            8,
        ),
        (Pool(31_000_000),),
    ),
    # Priced through a listed token, and through a token that is priced so itself.
    (_LUNARA, (Pool(750_000, quote=VIRTUAL.address, version="v2"),)),
    (_made_up(8453, "ECHOA", "Echo of Lunara", 130_000), (Pool(130_000, quote=_LUNARA.address, version="v2"),)),
    (_made_up(1, "BITTEN", "Bitten by Bitcoin", 480_000), (Pool(480_000, quote=_WBTC),)),
    # Version 4 holds the native coin, which DexScreener shows under the zero address.
    (_made_up(1, "FOURTH", "Fourth Version", 1_500_000), (Pool(1_500_000, quote=NATIVE_TOKEN, version="v4"),)),
    # A busy pool of unknown depth.
    (_made_up(1, "MUTE", "Mute Pool"), (Pool(None, volume_usd=4_000_000),)),
    # Against an unknown token.
    (_made_up(137, "ADRIFT", "Adrift"), (Pool(900_000, quote=derived_address("nobody's token")),)),
    # Traded, with little depth.
    (_made_up(10, "PUDDLE", "Puddle", 2_400), (Pool(2_400),)),
    # Airdropped by the billion on 60,000 USD of depth.
    (_made_up(42161, "HEAP", "Heap", 60_000), (Pool(60_000),)),
)
"""Tokens with the pools that make them unusual."""

MIRRORS: Final = (
    SimToken(137, "0x0000000000000000000000000000000000001010", "POL", "Polygon Ecosystem Token", 18, "POL", True),
    SimToken(10, "0xdeaddeaddeaddeaddeaddeaddeaddeaddead0000", "ETH", "Ether", 18, "ETH"),
)
"""Contracts that repeat the native coin's balance."""

RARE_TOKENS: Final = {
    (token.chain_id, token.address): token for token in (*DECEPTIVE, *(token for token, _ in POOLED), *MIRRORS)
}
RARE_POOLS: Final = {(token.chain_id, token.address): pools for token, pools in POOLED}
