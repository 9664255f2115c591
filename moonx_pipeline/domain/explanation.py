"""Why a portfolio is worth what it is: the evidence for each position, kept with the sync that stored it.

A token about which no source has said anything is left out: a wallet may hold thousands.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from moonx_pipeline.domain.events import rfc3339
from moonx_pipeline.domain.flags import not_counted_reason
from moonx_pipeline.domain.money import amount_of, plain, value_of
from moonx_pipeline.domain.portfolio import ChainBalances, Position, TokenKey
from moonx_pipeline.domain.quotes import ASKED_SOURCES, PriceSource
from moonx_pipeline.domain.valuation import TokenFacts, Valuer

_NAMES: Final = {source: source.value for source in PriceSource}
_encode: Final = msgspec.json.Encoder(decimal_format="string").encode
_decode: Final = msgspec.json.Decoder().decode


class _Row(msgspec.Struct, array_like=True, gc=False):
    """A position of a user: what does not follow from its token and its wallet's reading."""

    token: int  # place among the batch's tokens
    wallet: int  # place among the user's wallets
    is_read: bool  # whether its balance comes from the sync's reading
    balance: str
    flags: Sequence[str] | None = None  # if they are not the token's


class _Reading(msgspec.Struct, array_like=True, gc=False):
    wallet: int
    chain_id: int
    source: str | None
    block: int | None
    way: str | None


class _Kept(msgspec.Struct):
    """A user's part. ``positions`` and ``tokens`` are in the API's names, and of syncs without a batch's part."""

    positions: list[dict[str, Any]] = []
    tokens: list[dict[str, Any]] = []
    wallets: list[str] = []
    readings: list[_Reading] = []
    read_at: datetime | None = None
    rows: list[_Row] = []


class _Token(msgspec.Struct):
    """What is known of a token, and what its positions need beside it."""

    explained: dict[str, Any]
    decimals: int | None
    spam_reasons: Sequence[str]


_decode_kept: Final = msgspec.json.Decoder(_Kept).decode
_decode_tokens: Final = msgspec.json.Decoder(list[_Token]).decode


class EvidencePacker:
    """Packs the evidence of a batch: what is known of tokens once for all users, and of each user what is theirs."""

    def __init__(self) -> None:
        self._places: dict[tuple[int, str], int] = {}
        self._tokens: list[_Token] = []
        self._flags: list[tuple[str, ...]] = []

    def pack(
        self, positions: Iterable[Position], valuer: Valuer, readings: Iterable[ChainBalances], read_at: datetime
    ) -> bytes:
        """The part of a user.

        Args:
            positions: All positions of the user.
            valuer: Their valuer.
            readings: The readings that the balances come from.
            read_at: When they were read.
        """
        wallets: dict[str, int] = {}
        read = {(r.wallet, r.chain_id): r for r in readings if r.is_read}
        rows = []
        for p in positions:
            wallet, chain_id, token = p[:3]
            place = self._places.get((chain_id, token))
            if place is None:
                place = self._add(TokenKey(chain_id, token), valuer)
            if place == _NOTHING_KNOWN:
                continue
            reading = read.get((wallet, chain_id))
            is_read = reading is not None and token in reading.balances
            flags = None if p.flags == self._flags[place] else p.flags
            rows.append(_Row(place, wallets.setdefault(wallet, len(wallets)), is_read, str(p.balance), flags))
        kept = [
            _Reading(wallets[r.wallet], r.chain_id, r.source, r.block, r.way.value if r.way else None)
            for r in read.values()
            if r.wallet in wallets
        ]
        return _encode(_Kept(wallets=list(wallets), readings=kept, read_at=read_at, rows=rows))

    def tokens(self) -> bytes:
        """The part that all users of the batch share, as compressed JSON."""
        return zlib.compress(_encode(self._tokens), 1)

    def _add(self, key: TokenKey, valuer: Valuer) -> int:
        facts = valuer.facts(key)
        place = len(self._tokens) if _has_evidence(facts) else _NOTHING_KNOWN
        self._places[key.chain_id, key.address] = place
        if place != _NOTHING_KNOWN:
            self._tokens.append(_Token(explain_token(key, valuer), facts.info.decimals, facts.spam_reasons))
            self._flags.append(facts.flags)
        return place


_NOTHING_KNOWN: Final = -1  # in place of a place


def unpack(evidence: bytes, tokens: bytes | None) -> dict[str, Any]:
    """Unpacks the evidence of a sync: ``tokens`` and ``positions`` as in the API.

    Args:
        evidence: The user's part.
        tokens: The batch's part; ``None`` if there is none, and the user's part is compressed and whole.
    """
    if tokens is None:
        kept = _decode_kept(zlib.decompress(evidence))
        return {"tokens": kept.tokens, "positions": kept.positions}
    kept, known = _decode_kept(evidence), _decode_tokens(zlib.decompress(tokens))
    readings = {(reading.wallet, reading.chain_id): reading for reading in kept.readings}
    positions = []
    for row in kept.rows:
        token = known[row.token]
        by = readings.get((row.wallet, token.explained["chainId"])) if row.is_read else None
        positions.append(_position(row, token, kept.wallets[row.wallet], by, kept.read_at))
    held = sorted({row.token for row in kept.rows})
    return {"tokens": [known[place].explained for place in held], "positions": positions}


def _has_evidence(facts: TokenFacts) -> bool:
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
            "source": _NAMES[quote.source],
            "at": quote.price_at or quote.read_at,
            "rule": choice.rule,
        },
        "quotes": [
            {
                "source": _NAMES[use.quote.source],
                "priceUsd": plain(use.quote.price_usd),
                "priceAt": use.quote.price_at,
                "readAt": use.quote.read_at,
                "use": use.use,
            }
            for use in choice.uses
        ],
        "answeredNothing": [
            {"source": _NAMES[source], "at": at} for source, at in answered.items() if source not in said
        ],
        "notAsked": [_NAMES[source] for source in ASKED_SOURCES if source not in answered and source not in said],
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


def _position(
    row: _Row, token: _Token, wallet: str, reading: _Reading | None, read_at: datetime | None
) -> dict[str, Any]:
    """A position with the origin of its balance: its sync's reading, or an earlier one."""
    balance, price, flags = int(row.balance), token.explained["price"], row.flags
    amount = None if token.decimals is None else amount_of(balance, token.decimals)
    value_usd = None if amount is None or price is None else value_of(amount, Decimal(price["usd"]))
    if flags is None:
        flags = token.explained["flags"]
    is_spam = bool(token.spam_reasons)
    reason = not_counted_reason(is_spam=is_spam, value_usd=value_usd, flags=flags)
    return {
        "walletAddress": wallet,
        "chainId": token.explained["chainId"],
        "tokenAddress": token.explained["tokenAddress"],
        "balance": row.balance,
        "balanceSource": reading.source if reading else None,
        "balanceWay": reading.way if reading else None,
        "block": reading.block if reading else None,
        "balanceAt": rfc3339(read_at) if reading and read_at else None,
        "amount": None if amount is None else plain(amount),
        "valueUsd": None if value_usd is None else plain(value_usd),
        "isSpam": is_spam,
        "spamReasons": list(token.spam_reasons),
        "isCounted": reason is None,
        "notCountedReason": reason,
        "flags": list(flags),
    }
