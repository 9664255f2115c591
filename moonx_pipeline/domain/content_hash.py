"""The digest of a portfolio's content, by which a change is told from a sync that found the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from moonx_pipeline.domain.money import without_zeros
from moonx_pipeline.domain.portfolio import Position

_KEPT: Final = 8192
"""Many users hold the same tokens, at the same prices."""


def content_hash(
    positions: Iterable[Position],
    stale: Iterable[tuple[str, int]],
    unread: Mapping[tuple[str, int], int] = MappingProxyType({}),
) -> bytes:
    """A digest of all that is stored and shown of a portfolio except times; equal means nothing changed.

    Args:
        positions: Positions in any order.
        stale: The wallets and chains whose positions are the last known ones.
        unread: The number of tokens by wallet and chain whose balance could not be read and was never known.
    """
    rows = sorted(
        (wallet, chain_id, token, symbol, name, decimals, balance, _digits(price_usd), price_source,
         _digits(change_24h), spam_reasons, is_verified, flags, logo_url)
        for (wallet, chain_id, token, symbol, name, decimals, balance, _, price_usd, _, price_source, _, change_24h,
             _, spam_reasons, is_verified, flags, logo_url, _) in positions
    )  # fmt: skip
    counted = tuple(item for item in sorted(unread.items()) if item[1])
    content = (rows, sorted(stale), counted) if counted else (rows, sorted(stale))
    return hashlib.blake2b(repr(content).encode(), digest_size=16).digest()


@lru_cache(_KEPT)
def _digits(number: Decimal | None) -> Decimal | None:
    """A number as hashed: a provider's 1.50 and a stored 1.5 are the same price."""
    return None if number is None else without_zeros(number)
