"""From balances and prices to positions, and to a total that says what it leaves out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from moonx_pipeline.domain.chains import CHAINS
from moonx_pipeline.domain.curated import CURATED
from moonx_pipeline.domain.holdings import Holding
from moonx_pipeline.domain.money import amount_of, total_of, value_of, without_zeros
from moonx_pipeline.domain.portfolio import UNKNOWN_TOKEN, Position, TokenInfo, TokenKey
from moonx_pipeline.domain.pricing import BLOCKING_FLAGS, THIN_LIQUIDITY, UNCONFIRMED_PRICE, BookPrice, PriceLimits
from moonx_pipeline.domain.quotes import PriceSource
from moonx_pipeline.domain.spam import metadata_reasons

_LISTED_BY = frozenset({PriceSource.BINANCE.value, PriceSource.COINGECKO.value})
_NO_VALUE = Decimal(-1)
_CHAIN_ORDER = {chain.id: n for n, chain in enumerate(CHAINS)}


@dataclass(frozen=True, slots=True)
class Totals:
    """A portfolio's value and, in counts, what it leaves out.

    Attributes:
        value_usd: Exact sum of the counted positions' values.
        counted: Positions in the sum.
        unpriced: Positions whose value is unknown.
        spam: Positions marked as spam.
        flagged: Positions kept out since their price can't be trusted at this size.
        stale_chains: Ids of chains whose positions are the last known ones, in the order of ``CHAINS``.
    """

    value_usd: Decimal
    counted: int
    unpriced: int
    spam: int
    flagged: int
    stale_chains: tuple[int, ...]

    @property
    def complete(self) -> bool:
        """Whether every chain is fresh."""
        return not self.stale_chains

    @property
    def omitted(self) -> dict[str, Any]:
        """What the sum leaves out, as it is stored, sent and told."""
        return {
            "unpriced": self.unpriced,
            "spam": self.spam,
            "flagged": self.flagged,
            "staleChains": list(self.stale_chains),
        }


def is_counted(position: Position) -> bool:
    """Whether a position's value is in the total."""
    return not position.is_spam and position.value_usd is not None and BLOCKING_FLAGS.isdisjoint(position.flags)


def totals_of(positions: Iterable[Position], stale_chains: Iterable[int]) -> Totals:
    """Sums a portfolio up; the order of positions never matters."""
    counted, unpriced, spam, flagged = [], 0, 0, 0
    for position in positions:
        if position.is_spam:
            spam += 1
        elif position.value_usd is None:
            unpriced += 1
        elif is_counted(position):
            counted.append(position.value_usd)
        else:
            flagged += 1
    return Totals(
        value_usd=total_of(counted),
        counted=len(counted),
        unpriced=unpriced,
        spam=spam,
        flagged=flagged,
        stale_chains=tuple(sorted(set(stale_chains), key=lambda chain_id: _CHAIN_ORDER.get(chain_id, chain_id))),
    )


class TokenFacts(NamedTuple):
    """What holds for every holding of a token.

    Attributes:
        info: What it is called; of a curated one, what is known for sure.
        is_verified: It is curated, or listed by a source that checks.
        spam_reasons: Why it is spam; empty where it is not.
        flags: What to know of its price.
        price: Its entry in the price book, where that has a price.
    """

    info: TokenInfo
    is_verified: bool
    spam_reasons: tuple[str, ...]
    flags: tuple[str, ...]
    price: BookPrice | None


def token_facts(key: TokenKey, info: TokenInfo | None, price: BookPrice | None) -> TokenFacts:
    """What holds for every holding of a token.

    Args:
        key: The token.
        info: What is known of it; ``None`` where no source has answered for it yet.
        price: Its entry in the price book, if it has one.
    """
    curated = CURATED.get(key)
    known = info or UNKNOWN_TOKEN
    if curated is not None:
        known = TokenInfo(curated.symbol, curated.name, curated.decimals, known.logo_url)
    verified = curated is not None or (price is not None and price.source in _LISTED_BY)
    flags = price.flags if price else ()
    reasons: tuple[str, ...] = ()
    if not verified:
        reasons = metadata_reasons(known) if info is not None else ()
        if THIN_LIQUIDITY in flags:
            reasons = (*reasons, THIN_LIQUIDITY)
    return TokenFacts(known, verified, reasons, flags, price if price and price.price_usd is not None else None)


@dataclass(frozen=True, slots=True)
class Valuer:
    """Values holdings by the same names and prices; what holds for a token is worked out once.

    Attributes:
        tokens: What is known of tokens.
        prices: Their entries in the price book.
        limits: Bounds of trust.
    """

    tokens: Mapping[TokenKey, TokenInfo]
    prices: Mapping[TokenKey, BookPrice]
    limits: PriceLimits
    _facts: dict[TokenKey, TokenFacts] = field(default_factory=dict, repr=False, compare=False)

    def position(self, holding: Holding) -> Position:
        """Values one holding."""
        key = TokenKey(holding.chain_id, holding.token)
        facts = self._facts.get(key)
        if facts is None:
            facts = self._facts[key] = token_facts(key, self.tokens.get(key), self.prices.get(key))
        known, verified, reasons, flags, price = facts
        amount = amount_of(holding.balance, known.decimals) if known.decimals is not None else None
        price_usd = price.price_usd if price else None
        value = value_of(amount, price_usd) if amount is not None and price_usd is not None else None
        if holding.flags or flags:
            flags = tuple(sorted({*holding.flags, *flags}))
            if UNCONFIRMED_PRICE in flags and (value is None or value <= self.limits.unconfirmed_usd):
                flags = tuple(flag for flag in flags if flag != UNCONFIRMED_PRICE)
        return Position(
            holding.wallet,
            holding.chain_id,
            holding.token,
            known.symbol,
            known.name,
            known.decimals,
            holding.balance,
            amount,
            price_usd,
            value,
            price.source if price else None,
            price.price_at if price else None,
            price.change_24h if price else None,
            bool(reasons),
            reasons,
            verified,
            flags,
            known.logo_url,
            holding.stale,
        )

    def positions(self, holdings: Iterable[Holding]) -> tuple[Position, ...]:
        """Values holdings; the largest value first, what has none last, ties by wallet, chain and token."""
        positions = [self.position(holding) for holding in holdings]
        positions.sort(key=lambda p: (p.wallet, _CHAIN_ORDER.get(p.chain_id, p.chain_id), p.token))
        positions.sort(key=lambda p: p.value_usd if p.value_usd is not None else _NO_VALUE, reverse=True)
        return tuple(positions)


def content_hash(positions: Iterable[Position], stale: Iterable[tuple[str, int]]) -> bytes:
    """A digest of all that is stored and shown of a portfolio but the times; equal means nothing changed.

    Args:
        positions: In any order.
        stale: The wallets and chains whose positions are the last known ones.
    """
    rows = sorted(
        (p.wallet, p.chain_id, p.token, p.symbol, p.name, p.decimals, p.balance, _digits(p.price_usd), p.price_source,
         _digits(p.change_24h), p.spam_reasons, p.is_verified, p.flags, p.logo_url)
        for p in positions
    )  # fmt: skip
    return hashlib.blake2b(repr((rows, sorted(stale))).encode(), digest_size=16).digest()


def _digits(number: Decimal | None) -> Decimal | None:
    """A number as it is hashed: 1.50 of a provider and 1.5 of the book are the same price."""
    return None if number is None else without_zeros(number)
