"""Flags: what a reader must know about a position, as codes, and which of them keep it out of the total.

``docs/trust.md`` has the same table in words.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Final

# About the price. The position counts.
SOURCES_DISAGREE: Final = "sources_disagree"  # another source differs beyond the bound; the more trusted is used
USDT_AT_PAR: Final = "usdt_at_par"  # quoted in USDT, and no source said what a USDT is worth, so it counts as 1 USD
OLD_PRICE: Final = "old_price"  # the source did not answer: its last price, at most as old as allowed
# About the balance. The position counts.
BALANCE_UNKNOWN: Final = "balance_unknown"  # the chain answered, but not for this token: its last balance is shown

# These keep a position out of the total; the first that applies is the reason given.
SUSPECTED: Final = "suspected"  # its name is suspicious, and no source has answered yet whether it has a market
LOW_LIQUIDITY: Final = "low_liquidity"  # its pools are known and none is deep enough
OUTDATED_PRICE: Final = "outdated_price"  # the source itself says that its price is old
SOURCES_FAR_APART: Final = "sources_far_apart"  # two sources contradict each other, and no third decides
PRICE_JUMP: Final = "price_jump"  # moved beyond the bound within a day and no second source confirms it
EXCEEDS_LIQUIDITY: Final = "exceeds_liquidity"  # worth more than its market or vault could pay; no list names it
UNCONFIRMED_PRICE: Final = (
    "unconfirmed_price"  # one source of unknown liquidity, beyond the bound for all such positions
)

_BLOCKING: Final = (
    SUSPECTED,
    LOW_LIQUIDITY,
    OUTDATED_PRICE,
    SOURCES_FAR_APART,
    PRICE_JUMP,
    EXCEEDS_LIQUIDITY,
    UNCONFIRMED_PRICE,
)
BLOCKING_FLAGS: Final = frozenset(_BLOCKING)

SPAM: Final = "spam"
UNPRICED: Final = "unpriced"
NOT_COUNTED_REASONS: Final = (SPAM, UNPRICED, *_BLOCKING)
"""Every reason why a position is not in the total."""


def not_counted_reason(*, is_spam: bool, value_usd: Decimal | None, flags: Collection[str]) -> str | None:
    """Why a position is not in the total, a code of ``NOT_COUNTED_REASONS``; ``None`` if it is counted."""
    if is_spam:
        return SPAM
    if value_usd is None:
        return UNPRICED
    return next((flag for flag in _BLOCKING if flag in flags), None) if flags else None
