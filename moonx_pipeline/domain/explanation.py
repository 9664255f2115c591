"""Why a portfolio is worth what it is: the evidence for each position, kept with the sync that stored it.

A token about which no source has said anything is left out: a wallet may hold thousands.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from moonx_pipeline.domain.events import rfc3339
from moonx_pipeline.domain.money import plain
from moonx_pipeline.domain.portfolio import ChainBalances, Position, TokenKey
from moonx_pipeline.domain.quotes import PriceSource
from moonx_pipeline.domain.valuation import TokenFacts, Valuer

_encode: Final = msgspec.json.Encoder(decimal_format="string").encode
_decode: Final = msgspec.json.Decoder().decode


class KeptPosition(msgspec.Struct, array_like=True, frozen=True):
    """A position as kept, with the origin of its balance: its sync's reading, or an earlier one."""

    wallet: str
    chain_id: int
    token: str
    balance: str
    balance_source: str | None
    block: int | None
    balance_at: datetime | None
    amount: Decimal | None
    value_usd: Decimal | None
    is_spam: bool
    spam_reasons: tuple[str, ...]
    not_counted_reason: str | None
    flags: tuple[str, ...]


class _Kept(msgspec.Struct):
    """``positions`` and ``tokens`` are in the API's names; evidence that is kept for a batch has ``rows`` instead."""

    positions: list[dict[str, Any]] = []
    tokens: list[dict[str, Any]] = []
    rows: list[KeptPosition] = []


_decode_kept: Final = msgspec.json.Decoder(_Kept).decode


def explained(positions: Iterable[Position], valuer: Valuer) -> list[Position]:
    """The positions with evidence worth keeping."""
    return [p for p in positions if p.price_usd is not None or has_evidence(valuer.facts(p.key))]


def pack_tokens(valuers: Mapping[TokenKey, Valuer]) -> bytes:
    """The evidence for tokens, each with the valuer of its positions, as compressed JSON."""
    return zlib.compress(_encode([explain_token(key, valuer) for key, valuer in valuers.items()]), 1)


def pack_positions(positions: Iterable[Position], readings: Iterable[ChainBalances], read_at: datetime) -> bytes:
    """A user's positions with the origin of their balances, as compressed JSON.

    Args:
        positions: Those to keep.
        readings: The readings that the balances come from.
        read_at: When they were read.
    """
    read = {(r.wallet, r.chain_id): r for r in readings if r.is_read}
    rows = [_kept(p, read.get((p.wallet, p.chain_id)), read_at) for p in positions]
    return zlib.compress(_encode(_Kept(rows=rows)), 1)


def unpack(evidence: bytes, tokens: bytes | None) -> dict[str, Any]:
    """Unpacks the evidence of a sync: ``tokens`` and ``positions`` as in the API.

    Args:
        evidence: Of the sync.
        tokens: Of its batch's tokens; ``None`` if they are in the sync's own evidence.
    """
    kept = _decode_kept(zlib.decompress(evidence))
    if tokens is None:
        return {"tokens": kept.tokens, "positions": kept.positions}
    held = {(row.chain_id, row.token) for row in kept.rows}
    every = _decode(zlib.decompress(tokens))
    return {
        "tokens": [token for token in every if (token["chainId"], token["tokenAddress"]) in held],
        "positions": [_position(row) for row in kept.rows],
    }


def has_evidence(facts: TokenFacts) -> bool:
    """Whether any source has said anything about a token worth keeping."""
    return bool(facts.choice.uses) or facts.choice.depth is not None


def explain_token(key: TokenKey, valuer: Valuer) -> dict[str, Any]:
    """What is known about a token and what followed from it, in the API's names."""
    facts, market = valuer.facts(key), valuer.market
    choice, answered = facts.choice, market.evidence(key).answered
    depth = market.own_evidence(key).depth
    quote, listing = choice.quote, market.identity(key).listing
    said = {use.quote.source for use in choice.uses}
    return {
        "chainId": key.chain_id,
        "tokenAddress": key.address,
        "symbol": facts.info.symbol,
        "price": None
        if quote is None
        else {
            "usd": plain(quote.price_usd),
            "source": quote.source.value,
            "at": quote.price_at or quote.read_at,
            "rule": choice.rule,
        },
        "quotes": [
            {
                "source": use.quote.source.value,
                "priceUsd": plain(use.quote.price_usd),
                "priceAt": use.quote.price_at,
                "readAt": use.quote.read_at,
                "use": use.use,
            }
            for use in choice.uses
        ],
        "answeredNothing": [
            {"source": source.value, "at": at} for source, at in answered.items() if source not in said
        ],
        "notAsked": [source.value for source in PriceSource if source not in answered and source not in said],
        "depth": None
        if depth is None
        else {
            "state": depth.state.value,
            "usd": None if depth.usd is None else plain(depth.usd),
            "at": depth.at,
        },
        "listing": None if listing is None else {"coingeckoId": listing.coingecko_id, "lists": list(listing.lists)},
        "suspicions": list(facts.suspected_for),
        "flags": list(facts.flags),
    }


def _kept(p: Position, reading: ChainBalances | None, read_at: datetime) -> KeptPosition:
    by = reading if reading is not None and p.token in reading.balances else None
    return KeptPosition(
        p.wallet,
        p.chain_id,
        p.token,
        str(p.balance),
        by.source if by else None,
        by.block if by else None,
        read_at if by else None,
        p.amount,
        p.value_usd,
        p.is_spam,
        p.spam_reasons,
        p.not_counted_reason,
        p.flags,
    )


def _position(row: KeptPosition) -> dict[str, Any]:
    return {
        "walletAddress": row.wallet,
        "chainId": row.chain_id,
        "tokenAddress": row.token,
        "balance": row.balance,
        "balanceSource": row.balance_source,
        "block": row.block,
        "balanceAt": None if row.balance_at is None else rfc3339(row.balance_at),
        "amount": None if row.amount is None else plain(row.amount),
        "valueUsd": None if row.value_usd is None else plain(row.value_usd),
        "isSpam": row.is_spam,
        "spamReasons": list(row.spam_reasons),
        "isCounted": row.not_counted_reason is None,
        "notCountedReason": row.not_counted_reason,
        "flags": list(row.flags),
    }
