"""Why a portfolio is worth what it is: the evidence for each position, kept with the sync that stored it.

A token about which no source has said anything is left out: a wallet may hold thousands.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from moonx_pipeline.domain.money import plain
from moonx_pipeline.domain.portfolio import ChainBalances, Position, TokenKey
from moonx_pipeline.domain.quotes import PriceSource
from moonx_pipeline.domain.valuation import TokenFacts, Valuer

_encode: Final = msgspec.json.Encoder(decimal_format="string").encode
_decode: Final = msgspec.json.Decoder().decode


def pack(positions: Sequence[Position], valuer: Valuer, readings: Iterable[ChainBalances], read_at: datetime) -> bytes:
    """The evidence for a user's positions, as compressed JSON.

    Args:
        positions: All positions of the user.
        valuer: The valuer of the positions; it encodes each token's evidence once, however many users hold it.
        readings: The readings that the balances come from.
        read_at: When they were read.
    """
    wanted = [p for p in positions if p.price_usd is not None or has_evidence(valuer.facts(p.key))]
    tokens = [valuer.encoded(key, _encoded_token) for key in dict.fromkeys(p.key for p in wanted)]
    read = {(r.wallet, r.chain_id): r for r in readings if r.is_read}
    rows = [_position(p, read.get((p.wallet, p.chain_id)), read_at) for p in wanted]
    return zlib.compress(_encode({"tokens": tokens, "positions": rows}), 1)


def unpack(evidence: bytes) -> dict[str, Any]:
    """Unpacks the evidence: ``tokens`` and ``positions`` as in the API."""
    unpacked: dict[str, Any] = _decode(zlib.decompress(evidence))
    return unpacked


def has_evidence(facts: TokenFacts) -> bool:
    """Whether any source has said anything about a token worth keeping."""
    return bool(facts.choice.uses) or facts.choice.depth is not None


def _encoded_token(key: TokenKey, valuer: Valuer) -> msgspec.Raw:
    return msgspec.Raw(_encode(explain_token(key, valuer)))


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


def _position(p: Position, reading: ChainBalances | None, read_at: datetime) -> dict[str, Any]:
    """A position with the origin of its balance: this sync's reading, or an earlier one."""
    by = reading if reading is not None and p.token in reading.balances else None
    reason = p.not_counted_reason
    return {
        "walletAddress": p.wallet,
        "chainId": p.chain_id,
        "tokenAddress": p.token,
        "balance": str(p.balance),
        "balanceSource": by.source if by else None,
        "balanceWay": by.way.value if by and by.way else None,
        "block": by.block if by else None,
        "balanceAt": read_at if by else None,
        "amount": None if p.amount is None else plain(p.amount),
        "valueUsd": None if p.value_usd is None else plain(p.value_usd),
        "isSpam": p.is_spam,
        "spamReasons": list(p.spam_reasons),
        "isCounted": reason is None,
        "notCountedReason": reason,
        "flags": list(p.flags),
    }
