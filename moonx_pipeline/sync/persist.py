"""Storing syncs: holdings, history, status, operation and events, in one transaction under the users' locks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Engine

from moonx_pipeline.domain.events import Event
from moonx_pipeline.domain.explanation import pack
from moonx_pipeline.domain.schedule import Intervals
from moonx_pipeline.metrics.syncs import count_sync
from moonx_pipeline.storage.explain import SyncEvidence, keep_evidence
from moonx_pipeline.storage.holdings import HoldingsChange, snapshot_holdings, stored_states, write_holdings
from moonx_pipeline.storage.operations import LockedUser, OperationEnd, end_operations, lock_users
from moonx_pipeline.storage.outbox import insert_events
from moonx_pipeline.sync.order import OpenSync
from moonx_pipeline.sync.outcome import Outcome, chain_statuses, failure, nothing_read, success, superseded
from moonx_pipeline.sync.repeat import in_database
from moonx_pipeline.sync.sources import Sources
from moonx_pipeline.sync.value import ValuedSync

LAST_WORDS_SECONDS: Final = 5.0
"""What a sync whose time is over may take to say how it ended."""

_SNAPSHOT_TYPE = {"manual": "manual", "login": "manual", "schedule": "scheduled", "webhook": "auto", "backfill": "sync"}
_UNCHANGED = HoldingsChange(0, 0, 0)
_ENDED = frozenset({"completed", "partial", "failed", "cancelled", "refused"})


@dataclass(frozen=True, slots=True)
class StoredSync:
    """How a sync ended.

    Attributes:
        operation_id: Which.
        user_id: Whose.
        status: ``completed``, ``partial``, ``failed``, or ``cancelled`` where a later sync had been stored.
        version: The portfolio's version after it.
        changed: Whether the portfolio changed.
        rows: Holdings rows that were touched, over all syncs stored together.
        message: What went wrong, one sentence; ``None`` where nothing did.
        retry_at: When what failed may be tried again, where that is known.
        duration_ms: From its opening to its end.
        alerts: What operators are told of breakers that it opened or closed.
    """

    operation_id: UUID
    user_id: str
    status: str
    version: int
    changed: bool
    rows: HoldingsChange
    message: str | None
    retry_at: datetime | None
    duration_ms: int
    alerts: tuple[Event, ...] = ()


class _Plan(NamedTuple):
    """What storing one sync writes."""

    valued: ValuedSync
    user: LockedUser
    outcome: Outcome


def persist_syncs(engine: Engine, sources: Sources, syncs: Sequence[ValuedSync], now: datetime) -> list[StoredSync]:
    """Stores syncs of different users, all or none; storing one again changes nothing.

    A sync is stored only while none that opened later has been; then it ends as ``cancelled``. A sync that
    read no chain at all ends as ``failed`` and leaves every holding as it was.

    Args:
        engine: The pipeline's database.
        sources: For the rules of when users are due again, and of what is repeated.
        syncs: Of different users.
        now: When they end.

    Returns:
        One result a sync, in the same order.
    """
    deadline = min((valued.sync.deadline for valued in syncs), default=0)
    return in_database(
        sources.repeats, deadline, lambda: _persist(engine, syncs, sources.intervals, now, deadline - time.monotonic())
    )


def _persist(
    engine: Engine, syncs: Sequence[ValuedSync], intervals: Intervals, now: datetime, seconds: float
) -> list[StoredSync]:
    with engine.begin() as connection:
        users = [(valued.sync.order.user_id, valued.sync.order.operation_id) for valued in syncs]
        locked = lock_users(connection, users, seconds=seconds)
        plans = [_plan(connection, valued, locked[valued.sync.order.user_id], intervals, now) for valued in syncs]
        open_plans = [plan for plan in plans if plan.user.operation_status not in _ENDED]
        rows = _write(connection, open_plans, now)
    for plan in open_plans:
        _count(plan.valued.sync, plan.outcome.end)
    return [_result(plan, rows) for plan in plans]


def fail_sync(
    engine: Engine, sources: Sources, sync: OpenSync, *, code: str, message: str, now: datetime
) -> StoredSync | None:
    """Records that a sync ended without anything to store; ``None`` where it had ended already.

    Args:
        engine: The pipeline's database.
        sources: For the rules of when the user is due again, and of what is repeated.
        sync: The sync.
        code: What kind of failure.
        message: One sentence for people.
        now: When it failed.
    """
    deadline = max(sync.deadline, time.monotonic() + LAST_WORDS_SECONDS)
    return in_database(sources.repeats, deadline, lambda: _fail(engine, sync, code, message, sources.intervals, now))


def _fail(
    engine: Engine, sync: OpenSync, code: str, message: str, intervals: Intervals, now: datetime
) -> StoredSync | None:
    order = sync.order
    with engine.begin() as connection:
        users = [(order.user_id, order.operation_id)]
        user = lock_users(connection, users, seconds=LAST_WORDS_SECONDS).get(order.user_id)
        if user is None or user.operation_status in _ENDED:
            return None
        ended = failure(sync, user, code=code, message=message, intervals=intervals, now=now)
        end_operations(connection, [ended.end])
        insert_events(connection, ended.events)
    _count(sync, ended.end)
    return StoredSync(
        order.operation_id,
        order.user_id,
        "failed",
        user.version,
        False,
        _UNCHANGED,
        message,
        None,
        ended.end.duration_ms,
    )


def _count(sync: OpenSync, end: OperationEnd) -> None:
    count_sync(sync.order.trigger, end.status, milliseconds=end.duration_ms, code=end.error_code)


def _plan(connection: Connection, valued: ValuedSync, user: LockedUser, intervals: Intervals, now: datetime) -> _Plan:
    if user.stored_fence > valued.sync.fence:
        return _Plan(valued, user, superseded(valued.sync, user, intervals, now))
    if valued.is_nothing_read:
        return _Plan(valued, user, nothing_read(valued, user, intervals, now))
    if valued.stored is not None and valued.stored.fence != user.stored_fence:
        every_chain = [(reading.wallet, reading.chain_id) for reading in valued.readings]
        valued = valued.based_on(stored_states(connection, {user.user_id: every_chain})[user.user_id])
    return _Plan(valued, user, success(valued, user, intervals, now))


def _write(connection: Connection, plans: Sequence[_Plan], now: datetime) -> HoldingsChange:
    written = {plan.user.user_id: plan.valued.positions for plan in plans if plan.outcome.changed}
    rows = write_holdings(connection, written) if written else _UNCHANGED
    snapshots = [
        (plan.user.user_id, plan.outcome.end.operation_id, _SNAPSHOT_TYPE[plan.valued.sync.order.trigger])
        for plan in plans
        if plan.outcome.end.snapshot
    ]
    if snapshots:
        snapshot_holdings(connection, snapshots, now)
    if written:
        kept = [_evidence(plan) for plan in plans if plan.outcome.changed]
        keep_evidence(connection, kept, now)
    if plans:
        read = [plan.valued for plan in plans if plan.outcome.end.status != "cancelled"]
        statuses = [row for valued in read for row in chain_statuses(valued)]
        end_operations(connection, [plan.outcome.end for plan in plans], statuses)
        insert_events(connection, [event for plan in plans for event in plan.outcome.events])
    return rows


def _evidence(plan: _Plan) -> SyncEvidence:
    """What a portfolio was valued by."""
    valued = plan.valued
    evidence = pack(valued.positions, valued.valuer, valued.readings, valued.read_at)
    return SyncEvidence(plan.outcome.end.operation_id, plan.user.user_id, evidence)


def _result(plan: _Plan, rows: HoldingsChange) -> StoredSync:
    end, before = plan.outcome.end, plan.user.operation_status
    if before in _ENDED:
        end = end._replace(status=before, version=plan.user.version)
    changed = plan.outcome.changed and before not in _ENDED
    return StoredSync(
        end.operation_id,
        end.user_id,
        end.status,
        end.version,
        changed,
        rows if changed else _UNCHANGED,
        end.error_message,
        plan.outcome.retry_at,
        end.duration_ms,
    )
