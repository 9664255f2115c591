"""Pools of a token, as DexScreener shows them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

AT_MARKET: Final = "at market"
"""A pool's price that is the one of the token's market."""


@dataclass(frozen=True, slots=True)
class Pool:
    """One pool.

    Attributes:
        depth_usd: USD on the other side; ``None`` leaves ``liquidity`` out of the answer.
        quote: Contract of the token on the other side; ``None`` is the wrapped native coin. ``NATIVE_TOKEN`` is the
            native coin itself, which pools of version 4 hold and DexScreener shows under the zero address.
        version: The label: ``v2``, ``v3`` or ``v4``. Pools of version 4 are known by 32 bytes instead of an address.
        price_usd: What ``priceUsd`` says: a text such as ``"0"``, ``None`` to leave it out, or ``AT_MARKET``.
        price_factor: How far from the market an ``AT_MARKET`` pool is.
        volume_usd: Volume of 24 hours.
    """

    depth_usd: Decimal | int | None
    quote: str | None = None
    version: str = "v3"
    price_usd: str | None = AT_MARKET
    price_factor: Decimal | int = 1
    volume_usd: Decimal | int = Decimal("15234.5")


def usual_pools(depth_usd: int) -> tuple[Pool, ...]:
    """What a traded token has: a small pool that is far from the market, and a deep one."""
    return (Pool(90, price_factor=7), Pool(depth_usd))
