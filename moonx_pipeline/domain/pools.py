"""The price of a token from the DEX pools it trades in.

Anyone can open a pool and set its price, so a pool counts by what it holds of *other*, trusted tokens: its
own side costs its maker nothing. The deepest pool above the floor wins, unless it is far from the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Context, Decimal
from statistics import median_low
from typing import Final, NamedTuple

from moonx_pipeline.domain.portfolio import TokenKey
from moonx_pipeline.domain.quotes import PriceSource, Quote

OUTLIER_FACTOR: Final = Decimal(3)
"""A pool whose price is this far from the median of the deep pools is not believed."""

_COMPARED: Final = 5
_DIVISION: Final = Context(prec=40)


class Pool(NamedTuple):
    """One pool, as a provider lists it. ``None`` is what it does not say.

    Attributes:
        chain_id: Its chain.
        address: The pool itself, lower case.
        base_address, quote_address: Its two tokens, lower case.
        price_usd: Of one base token, in USD.
        price_native: Of one base token, in quote tokens.
        liquidity_usd: Both sides together, as the provider values them.
        liquidity_base, liquidity_quote: Amounts of the two tokens in it.
        change_24h: Of the base token's price, in percent.
    """

    chain_id: int
    address: str
    base_address: str
    quote_address: str
    price_usd: Decimal | None
    price_native: Decimal | None
    liquidity_usd: Decimal | None
    liquidity_base: Decimal | None
    liquidity_quote: Decimal | None
    change_24h: Decimal | None


class _Candidate(NamedTuple):
    liquidity_usd: Decimal
    price_usd: Decimal
    change_24h: Decimal | None
    address: str


def pool_quote(
    token: TokenKey,
    pools: Iterable[Pool],
    *,
    floor_usd: Decimal,
    trusted_quotes: Mapping[str, Decimal],
    read_at: datetime,
) -> Quote | None:
    """The token's price, from the pool with the most trusted liquidity.

    Args:
        token: The token.
        pools: Any pools; those of other tokens and chains are passed over.
        floor_usd: Trusted liquidity that a pool needs, in USD.
        trusted_quotes: Prices in USD of the tokens that are trusted as a pool's other side.
        read_at: When the pools were read.

    Returns:
        ``None`` where no pool can be trusted.
    """
    candidates = [
        candidate
        for pool in {pool.address: pool for pool in sorted(pools, key=repr)}.values()
        if (candidate := _judge(token, pool, trusted_quotes)) is not None and candidate.liquidity_usd >= floor_usd
    ]
    candidates.sort(key=lambda candidate: (-candidate.liquidity_usd, candidate.address))
    top = candidates[:_COMPARED]
    if len(top) > 2:
        middle = median_low(candidate.price_usd for candidate in top)
        top = [c for c in top if middle / OUTLIER_FACTOR <= c.price_usd <= middle * OUTLIER_FACTOR]
    if not top:
        return None
    best = top[0]
    return Quote(PriceSource.DEXSCREENER, best.price_usd, None, read_at, best.liquidity_usd, best.change_24h)


def _judge(token: TokenKey, pool: Pool, trusted: Mapping[str, Decimal]) -> _Candidate | None:
    """The token's price in a pool, and the worth of the pool's other side; ``None`` where either is unknown."""
    if pool.chain_id != token.chain_id or pool.price_usd is None or pool.price_usd <= 0:
        return None
    if token.address == pool.base_address:
        other, amount, price, change = pool.quote_address, pool.liquidity_quote, pool.price_usd, pool.change_24h
    elif token.address == pool.quote_address and pool.price_native is not None and pool.price_native > 0:
        # priceUsd is the other token's: one of ours is worth what one of it costs, over how many of ours it costs.
        price = _DIVISION.divide(pool.price_usd, pool.price_native)
        other, amount, change = pool.base_address, pool.liquidity_base, None
    else:
        return None
    worth = trusted.get(other)
    if worth is None or amount is None or amount <= 0:
        return None
    return _Candidate(_DIVISION.multiply(amount, worth), price, change, pool.address)
