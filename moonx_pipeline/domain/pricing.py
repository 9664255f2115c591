"""Which price a token has, out of what the sources say: trust, disagreement, jumps.

Order of trust: a direct quote of a curated asset (Binance), a listing by contract (CoinGecko), a DEX pool
whose trusted liquidity is known (DexScreener), a DEX price whose liquidity is not (Alchemy). Curated
tokens need no liquidity, so for them Alchemy, an average over pools, goes before a single pool.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from moonx_pipeline.domain.quotes import PriceSource, Quote

# Flags tell a reader what to know of a price. Those that block keep a position out of the total.
SOURCES_DISAGREE: Final = "sources_disagree"  # another source differs beyond the bound; the more trusted is used
USDT_AT_PAR: Final = "usdt_at_par"  # quoted in USDT, and no source said what a USDT is worth, so it counts as 1 USD
OLD_PRICE: Final = "old_price"  # no source answered: the last known price, at most as old as allowed
PRICE_JUMP: Final = "price_jump"  # moved beyond the bound within a day and no second source confirms it
THIN_LIQUIDITY: Final = "thin_liquidity"  # pools exist, but none deep enough to be trusted: no price
UNCONFIRMED_PRICE: Final = "unconfirmed_price"  # a DEX price whose liquidity nobody knows, on a large position

BLOCKING_FLAGS: Final = frozenset({PRICE_JUMP, UNCONFIRMED_PRICE})

REFERENCE_AGE: Final = timedelta(hours=24)
"""A price older than this says nothing about a jump."""

_UNPRICED_FACTOR: Final = 12
_AGE_FACTORS: Final = ((Decimal(1), 12), (Decimal(100), 3))  # of a holding below so many USD

_TRUST_CURATED: Final = (PriceSource.BINANCE, PriceSource.COINGECKO, PriceSource.ALCHEMY, PriceSource.DEXSCREENER)
_TRUST_OTHERS: Final = (PriceSource.COINGECKO, PriceSource.DEXSCREENER, PriceSource.ALCHEMY)


@dataclass(frozen=True, slots=True)
class PriceLimits:
    """Bounds of trust, from the settings.

    Attributes:
        disagreement_percent: Sources may differ by this much.
        jump_factor: A price may move by this factor within a day without a second source.
        unconfirmed_usd: A position whose price has no known liquidity counts up to this value.
    """

    disagreement_percent: Decimal = Decimal(10)
    jump_factor: Decimal = Decimal(10)
    unconfirmed_usd: Decimal = Decimal(10_000)


class BookPrice(NamedTuple):
    """A token's entry in the price book.

    ``price_usd`` is ``None`` where all sources were asked and none had a price that can be trusted.
    ``reference_usd`` is the last price that was accepted without a jump, read at ``reference_at``.
    """

    price_usd: Decimal | None
    source: str | None
    price_at: datetime | None
    liquidity_usd: Decimal | None
    change_24h: Decimal | None
    flags: tuple[str, ...]
    read_at: datetime
    reference_usd: Decimal | None = None
    reference_at: datetime | None = None


def _disagree(one: Decimal, other: Decimal, percent: Decimal) -> bool:
    low, high = sorted((one, other))
    return high > low * (1 + percent / 100)


def choose_price(
    quotes: Mapping[PriceSource, Quote],
    *,
    curated: bool,
    thin: bool,
    previous: BookPrice | None,
    read_at: datetime,
    limits: PriceLimits,
    notes: Collection[str] = (),
) -> BookPrice:
    """Chooses a token's price.

    Args:
        quotes: What each source that answered says of this token.
        curated: Its contract is known for sure.
        thin: A source of pools answered and has pools of the token, none of them deep enough.
        previous: The book's entry so far.
        read_at: Now.
        limits: Bounds of trust.
        notes: Flags that the reading itself put on the price.

    Returns:
        The new entry, always; without a price where nothing can be trusted.
    """
    trusted = dict(quotes)
    if thin and not curated:
        # A DEX price of a token without liquidity is whatever its maker wants it to be.
        trusted.pop(PriceSource.ALCHEMY, None)
        trusted.pop(PriceSource.DEXSCREENER, None)
    ranked = [trusted[source] for source in (_TRUST_CURATED if curated else _TRUST_OTHERS) if source in trusted]
    if not ranked:
        return _entry_without_price((THIN_LIQUIDITY,) if thin and not curated else (), read_at, previous)

    best, others = ranked[0], ranked[1:]
    flags = {*notes}
    agreeing = [q for q in others if not _disagree(best.price_usd, q.price_usd, limits.disagreement_percent)]
    if len(agreeing) < len(others):
        flags.add(SOURCES_DISAGREE)
    if not curated and best.source is PriceSource.ALCHEMY and not agreeing:
        flags.add(UNCONFIRMED_PRICE)

    reference, reference_at = best.price_usd, read_at
    if previous and previous.reference_usd is not None and previous.reference_at is not None:
        young = read_at - previous.reference_at <= REFERENCE_AGE
        jumped = _disagree(best.price_usd, previous.reference_usd, (limits.jump_factor - 1) * 100)
        if young and jumped and not agreeing:
            flags.add(PRICE_JUMP)
            reference, reference_at = previous.reference_usd, previous.reference_at
    return BookPrice(
        price_usd=best.price_usd,
        source=best.source.value,
        price_at=best.price_at or best.read_at,
        liquidity_usd=best.liquidity_usd,
        change_24h=next((q.change_24h for q in ranked if q.change_24h is not None), None),
        flags=tuple(sorted(flags)),
        read_at=read_at,
        reference_usd=reference,
        reference_at=reference_at,
    )


def _entry_without_price(flags: tuple[str, ...], read_at: datetime, previous: BookPrice | None) -> BookPrice:
    return BookPrice(
        None,
        None,
        None,
        None,
        None,
        flags,
        read_at,
        previous.reference_usd if previous else None,
        previous.reference_at if previous else None,
    )


def age_factor(is_priced: bool, worth: Decimal | None) -> int:
    """How many times older than an important price another may be before it is asked for again.

    Args:
        is_priced: Whether the token had a price when it was last asked for; most that had none never will.
        worth: What the largest holding at hand is worth in USD; ``None`` where that is unknown.
    """
    if not is_priced:
        return _UNPRICED_FACTOR
    return next((factor for below, factor in _AGE_FACTORS if worth is not None and worth < below), 1)


def keep_price(previous: BookPrice, *, now: datetime, oldest: timedelta) -> BookPrice | None:
    """The last known price where no source answered, marked as old; ``None`` when it is too old to be used."""
    if previous.price_usd is None or now - previous.read_at > oldest:
        return None
    return previous._replace(flags=tuple(sorted({*previous.flags, OLD_PRICE})))
