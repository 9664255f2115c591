"""The status of a user's syncs as JSON: the ``data`` of ``GET /api/v1/sync/status``."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from moonx_pipeline.domain.chains import Chain
from moonx_pipeline.domain.events import rfc3339
from moonx_pipeline.domain.money import plain
from moonx_pipeline.domain.schedule import ACTIVE_FOR, Intervals
from moonx_pipeline.storage.portfolios.sync_state import SyncState

CURRENT_FOR: Final = timedelta(minutes=5)
RECENT_FOR: Final = timedelta(minutes=30)


def freshness(last_sync_at: datetime | None, now: datetime) -> str:
    """``current`` if read within the last 5 minutes, ``recent`` within 30, ``stale`` if earlier, or ``never``."""
    if last_sync_at is None:
        return "never"
    age = now - last_sync_at
    return "current" if age < CURRENT_FOR else "recent" if age < RECENT_FOR else "stale"


def status_json(
    state: SyncState,
    *,
    intervals: Intervals,
    now: datetime,
    remaining: int | None,
    maximum: int | None,
    reset_at: datetime | None,
    chains: Iterable[Chain],
) -> dict[str, Any]:
    """The status of a user's syncs.

    Args:
        state: The stored state.
        intervals: How often portfolios are read.
        now: The time.
        remaining: How many more syncs the user may ask for.
        maximum: How many they may ask for within a window.
        reset_at: When the next permit comes back.
        chains: The chains that a sync reads, in display order.
    """
    running, error, pause = state.running, state.last_error, state.pause
    return {
        "userId": state.user_id,
        "lastSyncAt": _time(state.last_sync_at),
        "syncStatus": freshness(state.last_sync_at, now),
        "isRunning": state.active > 0,
        "activeSyncOperations": state.active,
        "totalTokens": state.tokens,
        "totalValueUsd": None if state.total_value_usd is None else plain(state.total_value_usd),
        "syncFrequency": round(intervals.at(now) / timedelta(minutes=1)),
        "nextScheduledSync": _time(_next(state, now)),
        "remainingRequests": remaining,
        "maxRequests": maximum,
        "resetTime": _time(reset_at),
        "pendingRequestId": str(state.pending_request_id) if state.pending_request_id else None,
        "runningOperation": None
        if running is None
        else {
            "syncOperationId": str(running.operation_id),
            "trigger": running.trigger,
            "startedAt": rfc3339(running.started_at),
        },
        "lastError": None if error is None else {"message": error[0], "at": rfc3339(error[1])},
        "pause": None if pause is None else {"since": rfc3339(pause.paused_at), "reason": pause.reason},
        "chains": [{"chainId": chain.id, "name": chain.name} for chain in chains],
    }


def _next(state: SyncState, now: datetime) -> datetime | None:
    """When the user is due; ``None`` if they have been inactive for too long to be synced."""
    is_active = state.last_active_at is not None and state.last_active_at > now - ACTIVE_FOR
    return state.next_sync_at if is_active else None


def _time(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment else None
