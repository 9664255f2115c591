"""The made-up world: who holds what, and what it is worth. Deterministic, and changed only when told."""

from __future__ import annotations

import hashlib
import random
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final, NamedTuple

from moonx_pipeline.domain.chains import CHAINS, NATIVE_TOKEN
from moonx_pipeline.simulator.tokens import TOKENS, SimToken, derived_address, price_table, spam_token

SPAM_TOKENS: Final = 2960

PLAIN_WALLET: Final = derived_address("wallet: plain")
THREE_WALLETS: Final = tuple(derived_address(f"wallet: three {number}") for number in range(3))
SPAM_WALLET: Final = derived_address("wallet: spam")
EMPTY_WALLET: Final = derived_address("wallet: empty")
POLYGON_WALLET: Final = derived_address("wallet: polygon")

_BY_CHAIN: Final = {
    chain.id: sorted((t for t in TOKENS.values() if t.chain_id == chain.id), key=lambda t: t.address)
    for chain in CHAINS
}
# Digits of the amounts that wallets hold, per unit of value: enough of everything to be worth a few dollars.
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
}


class Holding(NamedTuple):
    """A balance of a wallet."""

    token: SimToken
    balance: int


def _units(amount: str, token: SimToken) -> int:
    return int(Decimal(amount).scaleb(token.decimals or 0))


def _designed(wallet: str) -> dict[int, list[Holding]]:
    holdings: dict[int, list[Holding]] = {}
    for chain_id, amounts in _DESIGNED[wallet].items():
        tokens = {token.symbol: token for token in _BY_CHAIN[chain_id]}
        tokens |= {token.symbol: token for token in _BY_CHAIN[chain_id] if token.is_native}
        holdings[chain_id] = [
            Holding(tokens[symbol], _units(amount, tokens[symbol])) for symbol, amount in amounts.items()
        ]
    return holdings


def _generated(wallet: str, tokens_a_chain: int = 5) -> dict[int, list[Holding]]:
    """A portfolio that follows from the address: the native coin and some tokens on each chain."""
    seed = hashlib.sha256(wallet.encode()).digest()
    holdings: dict[int, list[Holding]] = {}
    for position, chain in enumerate(CHAINS):
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
    """What a wallet holds at the start, by chain id."""
    if wallet in _DESIGNED:
        return _designed(wallet)
    if wallet == SPAM_WALLET:
        holdings = _generated(wallet, tokens_a_chain=8)
        for number in range(SPAM_TOKENS):
            token = spam_token(number)
            holdings[token.chain_id].append(Holding(token, (number + 1) * 10**21))
        return holdings
    return _generated(wallet)


class World:
    """The world as it is now.

    Attributes:
        prices: USD by name of the price.
        usdt: What a USDT is worth, for those who convert.
        price_time: When the prices were last told to change.
    """

    def __init__(self) -> None:
        self.prices = price_table()
        self.price_time = datetime.now(UTC).replace(microsecond=0)
        self._changed: dict[tuple[str, int, str], int] = {}
        self._extra: dict[tuple[str, int], dict[str, Holding]] = {}
        self._tokens: dict[tuple[int, str], SimToken] = {}
        self.decimals: dict[tuple[int, str], int | None] = {}

    def holdings(self, wallet: str, chain_id: int) -> list[Holding]:
        """What a wallet holds on a chain; a balance that was taken away is there as 0, as real lists have it."""
        held = initial_holdings(wallet).get(chain_id, [])
        if not self._changed and not self._extra:
            return held
        extra = self._extra.get((wallet, chain_id), {})
        return [
            Holding(token, self._changed.get((wallet, chain_id, token.address), balance)) for token, balance in held
        ] + list(extra.values())

    def set_balance(self, wallet: str, token: SimToken, balance: int) -> None:
        """Gives a wallet another balance of a token."""
        held = {holding.token.address for holding in initial_holdings(wallet).get(token.chain_id, [])}
        if token.address in held:
            self._changed[wallet, token.chain_id, token.address] = balance
        else:
            self._extra.setdefault((wallet, token.chain_id), {})[token.address] = Holding(token, balance)
        self._tokens[token.chain_id, token.address] = token

    def set_price(self, name: str, price: Decimal) -> None:
        """Moves a price."""
        self.prices[name] = price
        self.price_time = datetime.now(UTC).replace(microsecond=0)

    def tick(self, seed: int) -> None:
        """Moves every price by up to two percent, as the seed says; USDT keeps its worth."""
        walk = random.Random(seed)  # noqa: S311 - a made-up market, not a secret
        for name in sorted(self.prices):
            step = Decimal(walk.randint(-200, 200)) / 10_000
            if name != "USDT":
                self.set_price(name, (self.prices[name] * (1 + step)).normalize())

    def token(self, chain_id: int, address: str) -> SimToken | None:
        """A token by its contract, spam included."""
        return (
            self._tokens.get((chain_id, address)) or TOKENS.get((chain_id, address)) or _SPAM.get((chain_id, address))
        )

    def usd(self, token: SimToken) -> Decimal | None:
        """What a token is worth, where anyone knows."""
        return self.prices.get(token.price) if token.price else None


_SPAM: Final = {(t.chain_id, t.address): t for t in (spam_token(number) for number in range(SPAM_TOKENS))}
