"""A portfolio as JSON: the ``data`` of ``GET /api/v1/portfolio``."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from moonx_pipeline.domain.chains import CHAIN_BY_ID, NATIVE_TOKEN
from moonx_pipeline.domain.events import rfc3339
from moonx_pipeline.domain.money import plain
from moonx_pipeline.domain.portfolio import Position
from moonx_pipeline.storage.portfolio import StoredPortfolio


def _text(number: Decimal | None) -> str | None:
    return None if number is None else plain(number)


def portfolio_json(stored: StoredPortfolio, *, include_spam: bool = False) -> dict[str, Any]:
    """The portfolio's JSON; decimals are strings, spam is left out unless asked for."""
    totals = stored.totals
    return {
        "userId": stored.user_id,
        "version": stored.version,
        "asOf": rfc3339(stored.as_of) if stored.as_of else None,
        "totalValueUsd": plain(totals.value_usd),
        "complete": bool(stored.chains) and totals.complete,
        "omitted": {
            "unpriced": totals.unpriced,
            "spam": totals.spam,
            "flagged": totals.flagged,
            "staleChains": list(totals.stale_chains),
        },
        "chains": [
            {
                "chainId": chain.chain_id,
                "name": CHAIN_BY_ID[chain.chain_id].name,
                "status": chain.status,
                "syncedAt": rfc3339(chain.synced_at) if chain.synced_at else None,
                "error": chain.error,
            }
            for chain in stored.chains
        ],
        "positions": [_position(p) for p in stored.positions if include_spam or not p.is_spam],
    }


def _position(p: Position) -> dict[str, Any]:
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
    }
