"""Portfolios, their history and wallets, as OpenAPI describes them."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import Field

from moonx_pipeline.domain.flags import LOW_LIQUIDITY, NOT_COUNTED_REASONS
from moonx_pipeline.gateway.answers import Address, DecimalText, Model, Time

ReasonCode = Literal[
    "unavailable",
    "timeout",
    "deadline_over",
    "malformed",
    "oversized",
    "parts_refused",
    "rate_limited",
    "banned",
    "quota_exhausted",
    "key_rejected",
    "restricted",
    "bad_request",
    "batch_too_large",
    "breaker_open",
    "no_source",
    "unread_tokens",
    "other",
]
"""Why a chain was not read, or not in full. Beside each is a sentence, which may change; the code does not."""


class _LeftOut(Model):
    unpriced: int = Field(description="Positions whose value is unknown.")
    spam: int = Field(description="Positions that are marked as spam.")
    flagged: int = Field(description="Positions whose price can't be trusted, or not at this size.")
    staleChains: list[int] = Field(description="Chains whose positions are the last known ones.")


class Omitted(_LeftOut):
    """What a total leaves out. Each position that is not counted is in one of the counts."""

    lowLiquidity: int = Field(description="Positions that could hardly be sold: no pool is deep enough.")
    unread: int = Field(
        description="Tokens whose balance could not be read and was never known: they have no position."
    )


class OmittedThen(_LeftOut):
    """What a total of the past left out; null where that was not counted yet."""

    lowLiquidity: int | None
    unread: int | None


class Chain(Model):
    """How fresh one chain is, over all wallets."""

    chainId: int = Field(examples=[137])
    name: str = Field(examples=["Polygon"])
    status: Literal["fresh", "stale", "never"]
    syncedAt: Time | None = Field(description="End of the last reading that succeeded.")
    error: str | None = Field(description="Why it is not fresh, or what its source can't know.")
    errorCode: ReasonCode | None = Field(description="The same as a code; null where there is none.")


class Position(Model):
    """One token of one wallet. What is unknown is null, never 0."""

    walletAddress: Address
    chainId: int
    tokenAddress: Address = Field(description="0xeeee…eeee is the chain's own coin (EIP-7528).")
    isNative: bool
    symbol: str | None = Field(description="As the contract says: hostile text.")
    name: str | None = Field(description="As the contract says: hostile text.")
    decimals: int | None
    balance: str = Field(pattern="^[0-9]+$", description="In the token's smallest unit.", examples=["4200500000"])
    amount: DecimalText | None = Field(examples=["4200.5"])
    priceUsd: DecimalText | None = Field(examples=["0.99987"])
    priceSource: str | None
    priceAt: Time | None
    valueUsd: DecimalText | None
    change24h: DecimalText | None = Field(description="Of the price, in percent.")
    isSpam: bool
    spamReasons: list[str]
    flags: list[str] = Field(description="What to know of its price and balance, as codes.")
    stale: bool = Field(description="The last known one of a chain that did not answer.")
    logoUrl: str | None
    isCounted: bool = Field(description="Whether its value is in the total.")
    notCountedReason: str | None = Field(
        description=f"Why it is not in the total, null where it is; one of `{'`, `'.join(NOT_COUNTED_REASONS)}`.",
        examples=[LOW_LIQUIDITY],
    )


class PortfolioTotals(Model):
    """A portfolio's total and what it leaves out."""

    userId: str
    version: int = Field(description="Grows by one with each change.")
    asOf: Time | None = Field(description="End of the last sync that read a chain.")
    totalValueUsd: DecimalText
    complete: bool = Field(description="Whether every chain is fresh and every balance was read.")
    omitted: Omitted


class Portfolio(PortfolioTotals):
    """A whole portfolio."""

    chains: list[Chain]
    positions: list[Position] = Field(description="The largest value first.")


class QuickPortfolio(PortfolioTotals):
    """A portfolio without its positions."""

    totalTokens: int
    totalChains: int


class HoldingPosition(Position):
    """A position and its share."""

    allocationPercent: DecimalText | None = Field(description="Of the total; null where it does not count.")


class Holdings(PortfolioTotals):
    """Positions with their shares."""

    positions: list[HoldingPosition]


class HistoryPoint(Model):
    """The portfolio as one sync read it."""

    at: Time
    totalValueUsd: DecimalText
    omitted: OmittedThen | None = Field(description="What the total left out then; null where it was not kept.")


class WalletAdded(Model):
    """A wallet that a portfolio has had from a time on."""

    walletAddress: Address
    at: Time


class History(Model):
    """A series of totals: the last reading of each bucket that has one."""

    days: int
    bucketSeconds: int
    gapSeconds: int = Field(description="Readings further apart have a gap between them.")
    before: HistoryPoint | None = Field(description="The last reading before the range.")
    points: list[HistoryPoint]
    walletsAdded: list[WalletAdded] = Field(description="Within the range, of the wallets that are still there.")


class PriceLine(Model):
    """What one of a token was worth over the last seven days."""

    chainId: int
    tokenAddress: Address
    source: str = Field(examples=["coingecko"])
    endsAt: Time = Field(description="Its last price is of about this time, its first of seven days before.")
    prices: list[DecimalText | None] = Field(
        min_length=2, max_length=168, description="In USD, evenly spaced, oldest first; null where one was not read."
    )


class PriceLines(Model):
    """Lines of what is held and counted, as far as a source has them."""

    lines: list[PriceLine]


class Wallets(Model):
    """A user's wallets."""

    wallets: list[Address] = Field(description="In lower case, the first registered first.")
    maxWallets: int
    requestId: UUID | None = Field(description="The request for the sync that a change has caused.")
