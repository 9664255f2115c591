"""The holdings of the simulated world's wallets at its start."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Final, NamedTuple

from moonx_pipeline.simulator.networks import CHAINS, NATIVE_TOKEN, USUAL_CHAINS, SimChain
from moonx_pipeline.simulator.rare_tokens import MIRRORS, RARE_TOKENS
from moonx_pipeline.simulator.tokens import TOKENS, SimToken, derived_address, spam_token

SPAM_TOKENS: Final = 2960

PLAIN_WALLET: Final = derived_address("wallet: plain")
THREE_WALLETS: Final = tuple(derived_address(f"wallet: three {number}") for number in range(3))
SPAM_WALLET: Final = derived_address("wallet: spam")
EMPTY_WALLET: Final = derived_address("wallet: empty")
POLYGON_WALLET: Final = derived_address("wallet: polygon")
DECEPTIVE_WALLET: Final = derived_address("wallet: deceptive")
POOLED_WALLET: Final = derived_address("wallet: pooled")
MIRROR_WALLET: Final = derived_address("wallet: mirror")
EVERY_CHAIN_WALLET: Final = derived_address("wallet: every chain")
"""Holds the native coin and other tokens on every chain."""

_BY_CHAIN: Final = {
    chain.id: sorted((t for t in TOKENS.values() if t.chain_id == chain.id), key=lambda t: t.address)
    for chain in CHAINS
}
# Amounts in whole tokens, each worth at least a few dollars.
_DESIGNED: Final = {
    PLAIN_WALLET: {
        1: {"ETH": "1.75", "USDC": "4200.5", "LINK": "60", "UNI": "41.25"},
        137: {"POL": "2100", "USDC": "310.07", "MESA": "12"},
        10: {"ETH": "0.31", "OP": "350"},
        42161: {"ETH": "0.8", "ARB": "1250", "USDT": "75.1", "vMESA": "3"},
        8453: {"ETH": "0.42", "USDC": "980"},
    },
    POLYGON_WALLET: {
        1: {"ETH": "0.5"},
        137: {"POL": "15000", "USDC": "2500", "WETH": "0.75", "NIMB": "400"},
        8453: {"USDC": "125.5"},
    },
    EMPTY_WALLET: {},
    DECEPTIVE_WALLET: {
        1: {"ETH": "0.1", "YFI": "0.2", "ETHFI": "900", "CRO": "12000", "MATIC": "3000"},
        10: {"wstETH": "0.4", "LDO": "500"},
        42161: {"wstETH": "0.25", "CRV": "1500"},
        8453: {"wstETH": "0.3", "USDT": "1100"},
    },
    POOLED_WALLET: {
        1: {"ETH": "0.5", "BITTEN": "100", "FOURTH": "3200", "MUTE": "1600"},
        137: {"ADRIFT": "500"},
        10: {"PUDDLE": "9000"},
        42161: {"HEAP": "1000000000"},
        8453: {"VIRTUAL": "800", "LUNARA": "25000", "ECHOA": "400000"},
    },
    MIRROR_WALLET: {137: {"POL": "1200"}, 10: {"ETH": "0.9"}},
}


class Holding(NamedTuple):
    """A balance of a wallet, in the token's smallest unit."""

    token: SimToken
    balance: int


def units(amount: str | Decimal | int, token: SimToken) -> int:
    """An amount of whole tokens in the token's smallest unit."""
    return int(Decimal(amount).scaleb(token.decimals or 0))


def _designed(wallet: str) -> dict[int, list[Holding]]:
    holdings: dict[int, list[Holding]] = {}
    for chain_id, amounts in _DESIGNED[wallet].items():
        rare = [token for token in RARE_TOKENS.values() if token.chain_id == chain_id and token not in MIRRORS]
        tokens = {token.symbol: token for token in [*rare, *_BY_CHAIN[chain_id]]}
        tokens |= {token.symbol: token for token in _BY_CHAIN[chain_id] if token.is_native}
        holdings[chain_id] = [
            Holding(tokens[symbol], units(amount, tokens[symbol])) for symbol, amount in amounts.items()
        ]
        if wallet == MIRROR_WALLET:
            twice = holdings[chain_id][0].balance
            holdings[chain_id] += [Holding(token, twice) for token in MIRRORS if token.chain_id == chain_id]
    return holdings


def _generated(
    wallet: str, tokens_a_chain: int = 5, chains: Sequence[SimChain] = USUAL_CHAINS
) -> dict[int, list[Holding]]:
    """A portfolio derived from the address: the native coin and some tokens on each of the chains."""
    seed = hashlib.sha256(wallet.encode()).digest()
    holdings: dict[int, list[Holding]] = {}
    for position, chain in enumerate(chains):
        native = TOKENS[chain.id, NATIVE_TOKEN]
        others = [token for token in _BY_CHAIN[chain.id] if not token.is_native]
        first = seed[position] % len(others)
        chosen = [native, *(others[(first + step) % len(others)] for step in range(tokens_a_chain - 1))]
        holdings[chain.id] = [
            Holding(token, (seed[position + step] + 1) * 10 ** max(0, (token.decimals or 0) - 2))
            for step, token in enumerate(chosen)
        ]
    return holdings


@lru_cache(maxsize=200_000)
def initial_holdings(wallet: str) -> dict[int, list[Holding]]:
    """A wallet's holdings at the start, by chain id."""
    if wallet in _DESIGNED:
        return _designed(wallet)
    if wallet == SPAM_WALLET:
        holdings = _generated(wallet, tokens_a_chain=8)
        for number in range(SPAM_TOKENS):
            token = spam_token(number)
            holdings[token.chain_id].append(Holding(token, (number + 1) * 10**21))
        return holdings
    return _generated(wallet, chains=CHAINS if wallet == EVERY_CHAIN_WALLET else USUAL_CHAINS)
