"""The shapes of a portfolio's evidence, as OpenAPI describes them."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import Field

from moonx_pipeline.gateway.answers import Address, DecimalText, Model, Time


class ChosenPrice(Model):
    """The price that a token is valued by."""

    usd: DecimalText
    source: str = Field(examples=["coingecko"])
    at: Time = Field(description="The time of the price by the source's own account, or else of its reading.")
    rule: str = Field(description="By which rule it was chosen, as a code.", examples=["two_agree"])


class SourceQuote(Model):
    """What one source says that a token is worth."""

    source: str
    priceUsd: DecimalText
    priceAt: Time | None = Field(description="The time of the price by the source's own account.")
    readAt: Time
    use: Literal["chosen", "agrees", "differs", "far_apart", "outdated", "too_old", "refused"] = Field(
        description="What became of it."
    )
    why: str = Field(description="The same for people.")


class SilentSource(Model):
    """A source that was asked and has no price."""

    source: str
    at: Time


class Depth(Model):
    """What the pools of a token hold of tokens that are trusted."""

    state: Literal["deep", "thin", "unknown"]
    usd: DecimalText | None
    at: Time


class Listing(Model):
    """Which lists name a contract."""

    coingeckoId: str | None = Field(description="Contracts with the same id are the same asset.")
    lists: list[str]


class TokenEvidence(Model):
    """What was known of a token when it was valued."""

    chainId: int
    tokenAddress: Address
    symbol: str | None = Field(description="As the contract says: hostile text.")
    price: ChosenPrice | None
    quotes: list[SourceQuote]
    answeredNothing: list[SilentSource]
    notAsked: list[str]
    depth: Depth | None = Field(description="Null where no pools were looked for, or none were found.")
    listing: Listing | None = Field(description="Null where no list names it.")
    suspicions: list[str] = Field(description="What its name and symbol are suspected of, as codes.")
    flags: list[str]


class PositionEvidence(Model):
    """How a position came to its amount, and whether it is counted."""

    walletAddress: Address
    chainId: int
    tokenAddress: Address
    balance: str = Field(pattern="^[0-9]+$", description="In the token's smallest unit.")
    balanceSource: str | None
    balanceWay: str | None = Field(
        default=None,
        description="How it was read: data_api, json_rpc, node or bulk. Null as its source, and in older evidence.",
    )
    block: int | None = Field(description="Of which block the balance is, where that is known.")
    balanceAt: Time | None = Field(description="Null, like its source, where an earlier sync read it.")
    amount: DecimalText | None
    valueUsd: DecimalText | None
    isSpam: bool
    spamReasons: list[str]
    isCounted: bool
    notCountedReason: str | None
    flags: list[str]


class Explanation(Model):
    """The evidence of a portfolio, as the last sync that changed it kept it."""

    userId: str
    syncOperationId: UUID
    at: Time = Field(description="When the portfolio was valued.")
    version: int
    totalValueUsd: DecimalText = Field(description="Of the whole portfolio, whatever part of it is shown.")
    tokens: list[TokenEvidence]
    positions: list[PositionEvidence]
