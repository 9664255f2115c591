"""From balances and prices to positions, and to a total that says what it leaves out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

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


def value_holding(holding: Holding, info: TokenInfo | None, price: BookPrice | None, limits: PriceLimits) -> Position:
    """Values one holding.

    Args:
        holding: What is held.
        info: What is known of the token; ``None`` where no source has answered for it yet.
        price: The token's entry in the price book, if it has one.
        limits: Bounds of trust.
    """
    key = TokenKey(holding.chain_id, holding.token)
    curated = CURATED.get(key)
    known = (curated.info._replace(logo_url=info.logo_url if info else None) if curated else info) or UNKNOWN_TOKEN
    verified = curated is not None or (price is not None and price.source in _LISTED_BY)
    flags = [*holding.flags, *(price.flags if price else ())]

    reasons: tuple[str, ...] = ()
    if not verified:
        reasons = metadata_reasons(known) if info is not None else ()
        if THIN_LIQUIDITY in flags:
            reasons = (*reasons, THIN_LIQUIDITY)

    amount = amount_of(holding.balance, known.decimals) if known.decimals is not None else None
    price_usd = price.price_usd if price else None
    value = value_of(amount, price_usd) if amount is not None and price_usd is not None else None
    if UNCONFIRMED_PRICE in flags and (value is None or value <= limits.unconfirmed_usd):
        flags.remove(UNCONFIRMED_PRICE)
    priced = price if price_usd is not None else None
    return Position(
        wallet=holding.wallet,
        chain_id=holding.chain_id,
        token=holding.token,
        symbol=known.symbol,
        name=known.name,
        decimals=known.decimals,
        balance=holding.balance,
        amount=amount,
        price_usd=price_usd,
        value_usd=value,
        price_source=priced.source if priced else None,
        price_at=priced.price_at if priced else None,
        change_24h=priced.change_24h if priced else None,
        is_spam=bool(reasons),
        spam_reasons=reasons,
        is_verified=verified,
        flags=tuple(sorted(set(flags))),
        logo_url=known.logo_url,
        stale=holding.stale,
    )


def value_holdings(
    holdings: Iterable[Holding],
    tokens: Mapping[TokenKey, TokenInfo],
    prices: Mapping[TokenKey, BookPrice],
    limits: PriceLimits,
) -> tuple[Position, ...]:
    """Values all holdings; the largest value first, what has none last, ties by wallet, chain and token."""
    positions = [
        value_holding(h, tokens.get(key := TokenKey(h.chain_id, h.token)), prices.get(key), limits) for h in holdings
    ]
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
