"""A portfolio as JSON: the ``data`` of ``GET /api/v1/portfolio`` and of its parts."""

from __future__ import annotations

from collections.abc import Collection
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Final

from moonx_pipeline.domain.chains import CHAIN_BY_ID, NATIVE_TOKEN
from moonx_pipeline.domain.events import rfc3339
from moonx_pipeline.domain.money import plain
from moonx_pipeline.domain.portfolio import Position
from moonx_pipeline.storage.portfolios.portfolio import StoredPortfolio

_CENT: Final = Decimal("0.01")
_WIDE: Final = Context(prec=512, rounding=ROUND_HALF_EVEN)


def _text(number: Decimal | None) -> str | None:
    return None if number is None else plain(number)


def portfolio_json(
    stored: StoredPortfolio,
    *,
    include_spam: bool = False,
    chain_ids: Collection[int] | None = None,
    min_value: Decimal | None = None,
) -> dict[str, Any]:
    """A portfolio's JSON; decimals are strings. Totals and chains are the whole portfolio's, whatever the filters.

    Args:
        stored: The portfolio.
        include_spam: Whether to show spam.
        chain_ids: The chains whose positions to show; ``None`` for all chains.
        min_value: The least value to show, in USD; positions of unknown value are always shown.
    """
    return {
        **_totals(stored),
        "chains": [
            {
                "chainId": chain.chain_id,
                "name": CHAIN_BY_ID[chain.chain_id].name,
                "status": chain.status,
                "syncedAt": rfc3339(chain.synced_at) if chain.synced_at else None,
                "error": chain.error,
                "errorCode": chain.error_code,
            }
            for chain in stored.chains
        ],
        "positions": [_position(p) for p in _shown(stored, include_spam, chain_ids, min_value)],
    }


def holdings_json(
    stored: StoredPortfolio,
    *,
    include_spam: bool = False,
    chain_ids: Collection[int] | None = None,
    min_value: Decimal | None = None,
) -> dict[str, Any]:
    """The positions with ``allocationPercent``, to 2 digits: null if a position is not in the total.

    The shares are of the whole total; without filters they sum to 100, except for rounding.
    """
    return {
        **_totals(stored),
        "positions": [
            {**_position(p), "allocationPercent": _text(_share(p, stored.totals.value_usd))}
            for p in _shown(stored, include_spam, chain_ids, min_value)
        ],
    }


def quick_json(stored: StoredPortfolio) -> dict[str, Any]:
    """The totals only; tokens and chains are counted without spam."""
    held = [p for p in stored.positions if not p.is_spam]
    return {**_totals(stored), "totalTokens": len(held), "totalChains": len({p.chain_id for p in held})}


def _totals(stored: StoredPortfolio) -> dict[str, Any]:
    totals = stored.totals
    return {
        "userId": stored.user_id,
        "version": stored.version,
        "asOf": rfc3339(stored.as_of) if stored.as_of else None,
        "totalValueUsd": plain(totals.value_usd),
        "complete": bool(stored.chains) and totals.complete,
        "omitted": totals.omitted,
    }


def _shown(
    stored: StoredPortfolio, include_spam: bool, chain_ids: Collection[int] | None, min_value: Decimal | None
) -> list[Position]:
    return [
        p
        for p in stored.positions
        if (include_spam or not p.is_spam)
        and (chain_ids is None or p.chain_id in chain_ids)
        and (min_value is None or p.value_usd is None or p.value_usd >= min_value)
    ]


def _share(position: Position, total: Decimal) -> Decimal | None:
    """A position's share of the total in percent; 0 if the total is 0."""
    if position.value_usd is None or position.not_counted_reason is not None:
        return None
    share = _WIDE.divide(_WIDE.multiply(position.value_usd, Decimal(100)), total) if total else Decimal(0)
    return share.quantize(_CENT, context=_WIDE)


def _position(p: Position) -> dict[str, Any]:
    reason = p.not_counted_reason
    return {
        "walletAddress": p.wallet,
        "chainId": p.chain_id,
        "tokenAddress": p.token,
        "isNative": p.token == NATIVE_TOKEN,
        "symbol": p.symbol,
        "name": p.name,
        "decimals": p.decimals,
        "balance": str(p.balance),
        "amount": _text(p.amount),
        "priceUsd": _text(p.price_usd),
        "priceSource": p.price_source,
        "priceAt": rfc3339(p.price_at) if p.price_at else None,
        "valueUsd": _text(p.value_usd),
        "change24h": _text(p.change_24h),
        "isSpam": p.is_spam,
        "spamReasons": list(p.spam_reasons),
        "flags": list(p.flags),
        "stale": p.stale,
        "logoUrl": p.logo_url,
        "isCounted": reason is None,
        "notCountedReason": reason,
    }
