"""What a source of prices says of one token."""

from __future__ import annotations

import enum
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple


class PriceSource(enum.Enum):
    """Sources of prices, the most trusted first."""

    BINANCE = "binance"  # a direct quote of a large asset that is curated in this repository
    COINGECKO = "coingecko"  # listed coins, asked by contract or by a curated id
    ALCHEMY = "alchemy"  # a DEX price by contract, without its liquidity
    DEXSCREENER = "dexscreener"  # a DEX pool, with its liquidity


class Quote(NamedTuple):
    """One source's price of one token in USD.

    Attributes:
        source: Who says so.
        price_usd: Exact, never negative, parsed from the provider's text.
        price_at: When the provider says it was; ``None`` where it does not say.
        read_at: When it was read.
        liquidity_usd: Trusted side of the pool's liquidity; ``None`` where the source has none to tell.
        change_24h: Change over 24 hours in percent; ``None`` where the source does not say.
    """

    source: PriceSource
    price_usd: Decimal
    price_at: datetime | None
    read_at: datetime
    liquidity_usd: Decimal | None = None
    change_24h: Decimal | None = None
