"""The one place that ends a sync: updates its operation and its user, and writes its events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from moonx_pipeline.domain.events import Event, SyncRef, sync_failed, sync_started
from moonx_pipeline.domain.reasons import Reason
from moonx_pipeline.domain.schedule import Intervals, next_due
from moonx_pipeline.metrics.syncs import count_sync
from moonx_pipeline.storage.syncs.operations import ChainStatusRow, LockedUser, OperationEnd, end_operations
from moonx_pipeline.storage.syncs.outbox import insert_events
from moonx_pipeline.sync.spec import OpenSync

ENDED_STATUSES = frozenset({"completed", "partial", "failed", "cancelled", "refused"})


class Ending(NamedTuple):
    """How a sync ends.

    Attributes:
        ref: The sync.
        end: The update of its operation and its user.
        events: Its events, in order.
        changed: Whether what was read changed the portfolio, so that its positions must be written.
        became_stale: Whether the only change is that chains became stale.
        retry_at: When what failed may be tried again, if known.
    """

    ref: SyncRef
    end: OperationEnd
    events: tuple[Event, ...]
    changed: bool = False
    became_stale: bool = False
    retry_at: datetime | None = None


def milliseconds(since: datetime, now: datetime) -> int:
    """Whole milliseconds between two times, never negative even if two processes' clocks differ."""
    return max(0, int((now - since).total_seconds() * 1000))


def beginning(sync: OpenSync, user: LockedUser, chain_ids: Sequence[int]) -> tuple[Event, ...]:
    """The event of a sync's start, if it was not told when the sync opened."""
    return (sync_started(sync.ref, version=user.version, chains=chain_ids),) if sync.is_swept else ()


def failed_event(
    ref: SyncRef,
    reason: Reason,
    message: str,
    *,
    version: int,
    now: datetime,
    retry_at: datetime | None = None,
) -> Event:
    """The event of a sync that ends without a result."""
    return sync_failed(
        ref,
        version=version,
        at=now,
        duration_ms=milliseconds(ref.started_at, now),
        code=reason.code,
        message=message,
        retry_at=retry_at,
    )


def without_result(
    ref: SyncRef,
    user: LockedUser,
    reason: Reason,
    message: str,
    *,
    now: datetime,
    intervals: Intervals | None = None,
    retry_at: datetime | None = None,
) -> Ending:
    """The ending of a sync with nothing to store; holdings stay unchanged.

    Args:
        ref: The sync.
        user: Its locked user.
        reason: Why.
        message: Why, one sentence for users.
        now: When it ends.
        intervals: How often users are synced; required if the reason counts.
        retry_at: When what failed may be tried again, if known.
    """
    failures, next_sync_at = user.failures, None
    if reason.counts:
        assert intervals is not None  # noqa: S101 - the contract above
        failures += 1
        next_sync_at = next_due(now, failures, intervals)
    elif reason.is_due_at_once:
        retry_at = next_sync_at = now
    end = OperationEnd(
        operation_id=ref.operation_id,
        user_id=user.user_id,
        status=reason.status,
        completed_at=now,
        began_at=ref.started_at,
        duration_ms=milliseconds(ref.started_at, now),
        version=user.version,
        error_code=reason.code,
        error_message=message,
        next_sync_at=next_sync_at,
        failures=failures,
    )
    event = failed_event(ref, reason, message, version=user.version, now=now, retry_at=retry_at)
    return Ending(ref, end, (event,), retry_at=retry_at)


def write_endings(
    connection: Connection,
    endings: Sequence[Ending],
    statuses: Sequence[ChainStatusRow] = (),
    chain_ids: Sequence[int] | None = None,
) -> None:
    """Stores how syncs end, with their events.

    Args:
        connection: Inside a transaction that holds the users' locks.
        endings: Endings of different users' syncs.
        statuses: How each wallet and chain was read.
        chain_ids: The chains that are read at all; see ``end_operations``.
    """
    if endings:
        end_operations(connection, [ending.end for ending in endings], statuses, chain_ids)
        insert_events(connection, [event for ending in endings for event in ending.events])


def count_endings(endings: Iterable[Ending]) -> None:
    """Counts ended syncs in the metrics; call it after the commit."""
    for ending in endings:
        end = ending.end
        count_sync(ending.ref.trigger, end.status, milliseconds=end.duration_ms, code=end.error_code)
