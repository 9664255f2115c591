"""Quotes: what a price source says about one token."""

from __future__ import annotations

import enum
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple


class PriceSource(enum.Enum):
    """Sources of prices, the most trusted first."""

    BINANCE = "binance"  # a direct quote of a large asset
    COINGECKO = "coingecko"  # listed coins, by the registry's id or by contract
    DEXSCREENER = "dexscreener"  # DEX pools, with their liquidity
    REDEMPTION = "redemption"  # what a share is redeemable for, by its vault's own word: asked of nobody else
    DEFILLAMA = "defillama"  # by contract, from listings and pools that DefiLlama checks
    ALCHEMY = "alchemy"  # a DEX price by contract, without its liquidity

    # Each is the only one of its kind. By default Python computes a hash of its name each time.
    __hash__ = object.__hash__


ASKED_SOURCES: Final = tuple(source for source in PriceSource if source is not PriceSource.REDEMPTION)
"""Those that are asked about a token, and whose quotes are stored; a redemption price follows from another token's."""


class Quote(NamedTuple):
    """One source's price of one token in USD.

    Attributes:
        source: The source.
        price_usd: Exact, above zero, parsed from the provider's text.
        price_at: The time of the price by the provider; ``None`` if it does not say.
        read_at: When it was read.
        change_24h: Change over 24 hours in percent; ``None`` if the source does not say.
        at_par: Whether it was converted from USDT at an assumed rate of 1 USD.
    """

    source: PriceSource
    price_usd: Decimal
    price_at: datetime | None
    read_at: datetime
    change_24h: Decimal | None = None
    at_par: bool = False
