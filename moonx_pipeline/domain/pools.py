"""The price and the depth of a token from its DEX pools.

Anyone can open a pool and set its price, so a pool counts by what it holds of *other*, trusted tokens: its own side
costs its maker nothing. What it holds of a token that is no major is worth no more than that token's own pools could
pay. The deepest pool above the floor gives the price, unless it is far from the others. Depth needs
no price. If a pool's depth is not given, or its other token has no trusted price, it is unknown, which is not thin.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Context, Decimal
from statistics import median_low
from typing import Final, NamedTuple

from moonx_pipeline.domain.evidence import DepthState, PoolDepth
from moonx_pipeline.domain.money import total_of
from moonx_pipeline.domain.portfolio import TokenKey
from moonx_pipeline.domain.quotes import PriceSource, Quote

OUTLIER_FACTOR: Final = Decimal(3)
"""A pool whose price is this far from the median of the deep pools is not believed."""

_COMPARED: Final = 5
_DIVISION: Final = Context(prec=40)
_UNKNOWN: Final = Decimal(-1)


class Pool(NamedTuple):
    """One pool, as a provider lists it. ``None`` means that it does not say.

    Attributes:
        chain_id: Its chain.
        address: The pool itself, lower case; 32 bytes if it has no contract of its own.
        base_address, quote_address: Its two tokens, lower case.
        price_usd: The price of one base token, in USD.
        price_native: The price of one base token, in quote tokens.
        liquidity_usd: Both sides together, as the provider values them.
        liquidity_base, liquidity_quote: The amounts of the two tokens in the pool.
        change_24h: The change of the base token's price, in percent.
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

    def other_side(self, token: str) -> str:
        """The token on the other side."""
        return self.quote_address if token == self.base_address else self.base_address


class TrustedSide(NamedTuple):
    """A token trusted as the other side of a pool.

    Attributes:
        price_usd: Of one.
        market_usd: What its own pools could pay for all of it, which is the most that a pool full of it is worth;
            ``None`` for a major, which sells anywhere.
    """

    price_usd: Decimal
    market_usd: Decimal | None = None


class PoolFinding(NamedTuple):
    """What a token's pools give: a price, if one has it, and their depth."""

    quote: Quote | None
    depth: PoolDepth | None


class _Side(NamedTuple):
    """A pool seen from one token: its price there, and the value of the other side (``None`` is unknown)."""

    depth_usd: Decimal | None
    price_usd: Decimal | None
    change_24h: Decimal | None
    address: str


def judge_pools(
    token: TokenKey,
    pools: Iterable[Pool],
    *,
    floor_usd: Decimal,
    trusted: Mapping[str, TrustedSide],
    read_at: datetime,
) -> PoolFinding:
    """Judges a token's price and depth by its pools.

    Args:
        token: The token.
        pools: Any pools; those of other tokens and chains are ignored.
        floor_usd: The least that a pool needs on its trusted side, in USD.
        trusted: The tokens trusted as a pool's other side, by contract.
        read_at: When the pools were read.
    """
    sides = [
        side
        for pool in {pool.address: pool for pool in sorted(pools, key=repr)}.values()
        if (side := _side_of(token, pool, trusted)) is not None
    ]
    if not sides:
        return PoolFinding(None, None)
    deep = [side for side in sides if side.depth_usd is not None and side.depth_usd >= floor_usd]
    if deep:
        believed = _without_outliers(deep)
        depth = PoolDepth(DepthState.DEEP, total_of(side.depth_usd for side in deep if side.depth_usd), read_at)
        return PoolFinding(_quote(believed, read_at), depth)
    if any(side.depth_usd is None for side in sides):
        return PoolFinding(_quote(sides, read_at), PoolDepth(DepthState.UNKNOWN, None, read_at))
    depth = PoolDepth(DepthState.THIN, total_of(side.depth_usd for side in sides if side.depth_usd), read_at)
    return PoolFinding(_quote(sides, read_at), depth)


def _without_outliers(sides: Sequence[_Side]) -> Sequence[_Side]:
    """The deepest pools, without those whose price is far from the others'."""
    top = sorted((side for side in sides if side.price_usd is not None), key=_rank)[:_COMPARED]
    prices = [side.price_usd for side in top if side.price_usd is not None]
    if len(prices) > 2:
        middle = median_low(prices)
        low, high = middle / OUTLIER_FACTOR, middle * OUTLIER_FACTOR
        top = [side for side in top if side.price_usd is not None and low <= side.price_usd <= high]
    return top


def _rank(side: _Side) -> tuple[Decimal, str]:
    return (-(side.depth_usd if side.depth_usd is not None else _UNKNOWN), side.address)


def _quote(sides: Sequence[_Side], read_at: datetime) -> Quote | None:
    """The price in the deepest pool that has one."""
    best = min((side for side in sides if side.price_usd is not None), key=_rank, default=None)
    if best is None or best.price_usd is None:
        return None
    return Quote(PriceSource.DEXSCREENER, best.price_usd, None, read_at, best.change_24h)


def _side_of(token: TokenKey, pool: Pool, trusted: Mapping[str, TrustedSide]) -> _Side | None:
    """A pool seen from a token; ``None`` if it has other tokens."""
    if pool.chain_id != token.chain_id or token.address not in (pool.base_address, pool.quote_address):
        return None
    price, change = _price_in(token, pool)
    amount = pool.liquidity_quote if token.address == pool.base_address else pool.liquidity_base
    side = trusted.get(pool.other_side(token.address))
    if side is None or amount is None or amount < 0:
        return _Side(None, price, change, pool.address)
    depth = _DIVISION.multiply(amount, side.price_usd)
    if pool.liquidity_usd is not None and pool.liquidity_usd > 0:
        # One side is not worth more than both: the provider may give an amount in the token's smallest unit.
        depth = min(depth, pool.liquidity_usd)
    if side.market_usd is not None:
        depth = min(depth, side.market_usd)
    return _Side(depth, price, change, pool.address)


def _price_in(token: TokenKey, pool: Pool) -> tuple[Decimal | None, Decimal | None]:
    """A token's price in a pool in USD, and its change over 24 hours; a price of 0 counts as none."""
    if not pool.price_usd:
        return None, None
    if token.address == pool.base_address:
        return pool.price_usd, pool.change_24h
    if not pool.price_native:
        return None, None
    # priceUsd is the other token's, so ours is priceUsd / priceNative (how many of ours one of it costs).
    return _DIVISION.divide(pool.price_usd, pool.price_native), None
