"""The events about syncs and portfolios, exactly as they go over the wire.

Times are RFC 3339 in UTC with ``Z``; decimals are strings in plain notation, except the two fields that
existing consumers read as numbers (``totalValueUsd``, ``valueUsd``), which are exact JSON numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

from moonx_pipeline.domain.event_types import (
    PORTFOLIO_UPDATED,
    SYNC_COMPLETED,
    SYNC_FAILED,
    SYNC_STARTED,
    USER_ACTIVITY,
    EventType,
)
from moonx_pipeline.domain.flags import UNPRICED
from moonx_pipeline.domain.money import plain
from moonx_pipeline.domain.portfolio import Position
from moonx_pipeline.domain.valuation import Totals

EVENT_SOURCE: Final = "moonx-pipeline"
MAX_TOKENS: Final = 100
"""The most positions in ``portfolio.updated``, the largest by value."""

_PRICES_KEPT: Final = 8192

_NAMESPACE: Final = UUID("6e2c9f1e-51a4-4a0b-9b0a-0f6f3a3c9d10")

# The type of a sync as the seed's consumers know it, by trigger.
_SYNC_TYPE: Final = {
    "manual": "manual",
    "backfill": "automatic",
    "schedule": "scheduled",
    "webhook": "automatic",
    "login": "automatic",
    "wallets": "automatic",
}


class Event(NamedTuple):
    """One event.

    Attributes:
        id: The same each time the same fact is written.
        topic: The stream it belongs to, before settings rename it.
        key: The user id; for alerts, the service.
        type: Such as ``sync.completed``.
        version: The version of the user's portfolio that it describes.
        payload: The value on the wire.
    """

    id: UUID
    topic: str
    key: str
    type: str
    version: int
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SyncRef:
    """What all events of one sync share.

    Attributes:
        operation_id: The sync.
        user_id: The user.
        first_wallet: The user's first wallet; ``None`` if the user was removed meanwhile.
        trigger: What started the sync.
        started_at: When it started; for a repeated try, when the first did.
        retry_count: The number of this try, from 0.
    """

    operation_id: UUID
    user_id: str
    first_wallet: str | None
    trigger: str
    started_at: datetime
    retry_count: int = 0


class FailedChain(NamedTuple):
    """A chain on which at least one wallet was not read.

    Attributes:
        chain_id: The chain.
        reason: Why, one sentence for users.
        stale_since: When its positions were last read, if they ever were.
        code: The reason for programs; see ``ChainBalances.error_code``.
    """

    chain_id: int
    reason: str
    stale_since: datetime | None
    code: str | None = None


def rfc3339(moment: datetime) -> str:
    """A time in UTC with ``Z``, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(number: Decimal | None) -> str | None:
    return None if number is None else plain(number)


@lru_cache(_PRICES_KEPT)
def _shared_text(number: Decimal | None) -> str | None:
    """The text of a number that many users share: a price, or its change."""
    return _text(number)


def _number(number: Decimal) -> Decimal:
    """A JSON number, exact and without needless zeros. One below 0.000001 may have an exponent, as JSON allows."""
    return Decimal(plain(number))


def event_id_of(operation_id: UUID, event_type: str) -> UUID:
    """The id of a sync's event of a type: the same whichever process writes it."""
    return uuid5(_NAMESPACE, f"{operation_id}:{event_type}")


def _event(ref: SyncRef, of: EventType, version: int, at: datetime, data: dict[str, Any]) -> Event:
    event_id = event_id_of(ref.operation_id, of.name)
    payload = {
        "eventId": str(event_id),
        "eventType": of.name,
        "userId": ref.user_id,
        "walletAddress": ref.first_wallet,
        "version": version,
        "timestamp": rfc3339(at),
        "data": data,
    }
    return Event(event_id, of.topic, ref.user_id, of.name, version, payload)


def _who(ref: SyncRef) -> dict[str, Any]:
    return {
        "syncOperationId": str(ref.operation_id),
        "userId": ref.user_id,
        "walletAddress": ref.first_wallet,
    }


def sync_started(ref: SyncRef, *, version: int, chains: Sequence[int]) -> Event:
    data = {
        **_who(ref),
        "syncType": _SYNC_TYPE[ref.trigger],
        "chains": list(chains),
        "startedAt": rfc3339(ref.started_at),
    }
    return _event(ref, SYNC_STARTED, version, ref.started_at, data)


def sync_completed(
    ref: SyncRef,
    *,
    version: int,
    at: datetime,
    duration_ms: int,
    totals: Totals,
    tokens: int,
    chains_synced: int,
    failed: Sequence[FailedChain],
) -> Event:
    data = {
        **_who(ref),
        "processingTime": duration_ms,
        "tokensSync": tokens,
        "chainsSync": chains_synced,
        "totalValueUsd": _number(totals.value_usd),
        "success": True,
        "complete": not failed and totals.complete,
        "failedChains": [
            {
                "chainId": chain.chain_id,
                "reason": chain.reason,
                "staleSince": rfc3339(chain.stale_since) if chain.stale_since else None,
                **({"code": chain.code} if chain.code else {}),
            }
            for chain in failed
        ],
        "completedAt": rfc3339(at),
    }
    return _event(ref, SYNC_COMPLETED, version, at, data)


def sync_failed(
    ref: SyncRef,
    *,
    version: int,
    at: datetime,
    duration_ms: int,
    code: str,
    message: str,
    retry_at: datetime | None,
) -> Event:
    data = {
        **_who(ref),
        "error": {"code": code, "message": message, "retryAt": rfc3339(retry_at) if retry_at else None},
        "processingTime": duration_ms,
        "retryCount": ref.retry_count,
        "failedAt": rfc3339(at),
    }
    return _event(ref, SYNC_FAILED, version, at, data)


def portfolio_data(
    operation_id: UUID | None,
    *,
    at: datetime | None,
    duration_ms: int | None,
    positions: Sequence[Position],
    totals: Totals,
) -> dict[str, Any]:
    """The data of ``portfolio.updated``: the counted positions, and those without a price.

    Args:
        operation_id: The sync that made this portfolio; ``None`` if none did, or it is no longer known.
        at: When it did.
        duration_ms: How long that sync took.
        positions: Positions in the order of value.
        totals: Their sum.
    """
    reasons = [(p, p.not_counted_reason) for p in positions]
    shown = [(p, reason) for p, reason in reasons if reason in (None, UNPRICED)]
    return {
        "syncOperationId": str(operation_id) if operation_id else None,
        "totalValueUsd": _number(totals.value_usd),
        "totalTokens": len(shown),
        "totalChains": len({p.chain_id for p, _ in shown}),
        "tokens": [_shown(p, reason) for p, reason in shown[:MAX_TOKENS]],
        "omitted": totals.omitted,
        "syncDuration": duration_ms,
        "updatedAt": rfc3339(at) if at else None,
    }


def _shown(p: Position, reason: str | None) -> dict[str, Any]:
    wallet, chain_id, token, symbol, _, _, _, amount, price_usd, value_usd, _, _, change_24h, *_ = p
    return {
        "walletAddress": wallet,
        "chainId": chain_id,
        "tokenAddress": token,
        "symbol": symbol,
        "amount": _text(amount),
        "priceUsd": _shared_text(price_usd),
        "valueUsd": None if value_usd is None else _number(value_usd),
        "change24h": _shared_text(change_24h),
        "isCounted": reason is None,
        "notCountedReason": reason,
    }


def portfolio_updated(
    ref: SyncRef,
    *,
    version: int,
    at: datetime,
    duration_ms: int,
    positions: Sequence[Position],
    totals: Totals,
) -> Event:
    data = portfolio_data(ref.operation_id, at=at, duration_ms=duration_ms, positions=positions, totals=totals)
    return _event(ref, PORTFOLIO_UPDATED, version, at, data)


def user_activity(
    user_id: str, first_wallet: str | None, *, activity: str, activity_id: UUID, version: int, at: datetime
) -> Event:
    """An act of a user.

    Args:
        user_id: The user.
        first_wallet: Their first wallet.
        activity: ``manual_sync``, ``sync_triggered`` or ``portfolio_viewed``.
        activity_id: The act's id: for a sync, its request's.
        version: The version of their portfolio.
        at: When they acted.
    """
    event_id = uuid5(_NAMESPACE, f"{activity_id}:user.activity")
    payload = {
        "eventId": str(event_id),
        "eventType": USER_ACTIVITY.name,
        "userId": user_id,
        "walletAddress": first_wallet,
        "version": version,
        "timestamp": rfc3339(at),
        "data": {"activityType": activity, "at": rfc3339(at)},
    }
    return Event(event_id, USER_ACTIVITY.topic, user_id, USER_ACTIVITY.name, version, payload)
