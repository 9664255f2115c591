"""A token's pools, as DexScreener shows them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

AT_MARKET: Final = "at market"
"""Stands for the token's market price as a pool's price."""


@dataclass(frozen=True, slots=True)
class Pool:
    """One pool.

    Attributes:
        depth_usd: USD on the other side; ``None`` leaves ``liquidity`` out of the answer.
        quote: Contract of the token on the other side; ``None`` is the wrapped native coin. ``NATIVE_TOKEN`` is the
            native coin itself, which pools of version 4 hold and DexScreener shows under the zero address.
        version: The label: ``v2``, ``v3`` or ``v4``. Pools of version 4 have an id of 32 bytes instead of an address.
        price_usd: The text of ``priceUsd``, such as ``"0"``; ``None`` leaves it out; or ``AT_MARKET``.
        price_factor: An ``AT_MARKET`` pool's price as a multiple of the market's.
        volume_usd: Volume of 24 hours.
    """

    depth_usd: Decimal | int | None
    quote: str | None = None
    version: str = "v3"
    price_usd: str | None = AT_MARKET
    price_factor: Decimal | int = 1
    volume_usd: Decimal | int = Decimal("15234.5")


def usual_pools(depth_usd: int) -> tuple[Pool, ...]:
    """A traded token's pools: a small one with a price far from the market, and a deep one."""
    return (Pool(90, price_factor=7), Pool(depth_usd))
