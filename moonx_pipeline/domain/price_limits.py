"""How old a price may be and how far it may be from others: the bounds that the rules of prices apply."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final

REFERENCE_AGE: Final = timedelta(hours=24)
"""An older accepted price is no reference for a jump."""

PAR: Final = Decimal(1)
"""What a dollar is worth if no source says, and what its price is measured against if none was accepted."""

DOLLAR_FACTOR: Final = Decimal("1.25")
"""A dollar's quotes that differ by more contradict each other, and a move by more is a jump: other prices are converted
at it, and one that lost its peg has a second source that says so.
"""

STABLE_AGE_FACTOR: Final = 7
"""A stablecoin's price may be this many times older by its own source: it hardly trades while nothing moves."""

_UNPRICED_FACTOR: Final = 12
_AGE_FACTORS: Final = ((Decimal(1), 12), (Decimal(100), 3))  # for a holding below this many USD


@dataclass(frozen=True, slots=True)
class PriceLimits:
    """Bounds of trust, from the settings.

    Attributes:
        disagreement_percent: Sources may differ by this much and agree.
        far_factor: Sources that differ by more than this factor contradict each other.
        jump_factor: A price may move by this factor within a day without a second source.
        unconfirmed_usd: Positions with an unconfirmed price count up to this value, together.
        liquidity_floor_usd: A pool with less on its trusted side is thin.
        max_age: A quote that its source dates as older is outdated.
        stale_after: A quote that was read longer ago is not used.
    """

    disagreement_percent: Decimal = Decimal(10)
    far_factor: Decimal = Decimal(10)
    jump_factor: Decimal = Decimal(10)
    unconfirmed_usd: Decimal = Decimal(10_000)
    liquidity_floor_usd: Decimal = Decimal(10_000)
    max_age: timedelta = timedelta(hours=24)
    stale_after: timedelta = timedelta(hours=1)


def age_factor(is_priced: bool, worth: Decimal | None) -> int:
    """How many times older than an important price a token's price may be before it is asked for again.

    Args:
        is_priced: Whether the token has a price; most without one never will.
        worth: The USD value of the largest holding at hand; ``None`` if unknown.
    """
    if not is_priced:
        return _UNPRICED_FACTOR
    return next((factor for below, factor in _AGE_FACTORS if worth is not None and worth < below), 1)
