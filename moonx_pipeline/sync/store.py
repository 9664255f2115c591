"""Storing syncs: holdings, history, status, operation and events, in one transaction under the users' locks."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from moonx_pipeline.domain.events import Event, portfolio_updated
from moonx_pipeline.domain.explanation import EvidencePacker
from moonx_pipeline.domain.holdings import Pair
from moonx_pipeline.domain.reasons import SUPERSEDED, Reason
from moonx_pipeline.domain.schedule import Intervals
from moonx_pipeline.storage.portfolios.holdings import HoldingsChange, snapshot_holdings, stored_states, write_holdings
from moonx_pipeline.storage.portfolios.portfolio import fresh_chains, read_portfolios
from moonx_pipeline.storage.syncs.evidence_log import SyncEvidence, keep_evidence
from moonx_pipeline.storage.syncs.operations import LockedUser, lock_users
from moonx_pipeline.storage.syncs.outbox import insert_events
from moonx_pipeline.sync.ending import ENDED_STATUSES, Ending, beginning, count_endings, without_result, write_endings
from moonx_pipeline.sync.outcome import chain_statuses, nothing_read, success
from moonx_pipeline.sync.runtime import Runtime, SyncPolicy
from moonx_pipeline.sync.spec import OpenSync
from moonx_pipeline.sync.value import ValuedSync

LAST_WORDS_SECONDS: Final = 5.0
"""Seconds that a sync may take after its time is over to record how it ended."""

_SNAPSHOT_TYPE = {
    "manual": "manual",
    "login": "manual",
    "wallets": "manual",
    "schedule": "scheduled",
    "webhook": "auto",
    "backfill": "sync",
}
_UNCHANGED = HoldingsChange(0, 0, 0)


@dataclass(frozen=True, slots=True)
class StoredSync:
    """How a sync ended.

    Attributes:
        operation_id: The sync's operation.
        user_id: The user.
        status: ``completed``, ``partial``, ``failed``, or ``cancelled`` if a later sync had been stored.
        version: The portfolio's version after the sync.
        changed: Whether the portfolio changed.
        rows: Holdings rows written, over all syncs stored together.
        message: What went wrong, one sentence; ``None`` if nothing did.
        retry_at: When what failed may be tried again, if known.
        duration_ms: Milliseconds from its opening to its end.
        alerts: Alerts about breakers that it opened or closed.
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
    """What is written to store one sync."""

    valued: ValuedSync
    user: LockedUser
    ending: Ending


def store_syncs(runtime: Runtime, syncs: Sequence[ValuedSync], now: datetime) -> list[StoredSync]:
    """Stores different users' syncs, all or none; storing one again changes nothing.

    A sync is stored only if none that opened later was; otherwise it ends as ``cancelled``. A sync that read no chain
    at all ends as ``failed`` and leaves every holding unchanged; if chains become stale by it, that is a change.

    Args:
        runtime: The database, and the rules for when users are due again.
        syncs: Syncs of different users.
        now: When they end.

    Returns:
        One result per sync, in the same order.
    """
    deadline = min((valued.sync.budget.deadline for valued in syncs), default=0)
    open_plans, plans, rows = runtime.db.transaction(deadline, _store, syncs, runtime.policy, now, deadline=deadline)
    count_endings(plan.ending for plan in open_plans)
    return [_result(plan, rows) for plan in plans]


def _store(
    connection: Connection, syncs: Sequence[ValuedSync], policy: SyncPolicy, now: datetime, *, deadline: float
) -> tuple[list[_Plan], list[_Plan], HoldingsChange]:
    users = [(valued.sync.user_id, valued.sync.operation_id) for valued in syncs]
    locked = lock_users(connection, users, seconds=deadline - time.monotonic())
    unanswered = [valued.sync.user_id for valued in syncs if valued.is_nothing_read]
    fresh = fresh_chains(connection, unanswered) if unanswered else {}
    plans = [
        _plan(
            connection, valued, locked[valued.sync.user_id], policy.intervals, now, fresh.get(valued.sync.user_id, ())
        )
        for valued in syncs
    ]
    open_plans = [plan for plan in plans if plan.user.operation_status not in ENDED_STATUSES]
    return open_plans, plans, _write(connection, open_plans, policy.chain_ids, now)


def fail_sync(runtime: Runtime, sync: OpenSync, reason: Reason, message: str, now: datetime) -> StoredSync | None:
    """Records that a sync ended with nothing to store; returns ``None`` if it had already ended.

    Args:
        runtime: The database, and the rules for when the user is due again.
        sync: The sync.
        reason: Why.
        message: Why, one sentence for users.
        now: When it failed.
    """
    deadline = max(sync.budget.deadline, time.monotonic() + LAST_WORDS_SECONDS)
    ending = runtime.db.transaction(deadline, _fail, sync, reason, message, runtime.policy, now)
    if ending is None:
        return None
    count_endings([ending])
    return _stored(ending)


def _fail(
    connection: Connection, sync: OpenSync, reason: Reason, message: str, policy: SyncPolicy, now: datetime
) -> Ending | None:
    users = [(sync.user_id, sync.operation_id)]
    user = lock_users(connection, users, seconds=LAST_WORDS_SECONDS).get(sync.user_id)
    if user is None or user.operation_status in ENDED_STATUSES:
        return None
    ending = without_result(sync.ref, user, reason, message, now=now, intervals=policy.intervals)
    ending = ending._replace(events=(*beginning(sync, user, policy.chain_ids), *ending.events))
    write_endings(connection, [ending])
    return ending


def _plan(
    connection: Connection,
    valued: ValuedSync,
    user: LockedUser,
    intervals: Intervals,
    now: datetime,
    fresh: Collection[Pair],
) -> _Plan:
    if user.stored_fence > valued.sync.fence:
        return _Plan(valued, user, without_result(valued.sync.ref, user, SUPERSEDED, SUPERSEDED.words, now=now))
    if valued.is_nothing_read:
        return _Plan(valued, user, nothing_read(valued, user, intervals, now, fresh=fresh))
    if valued.stored is not None and valued.stored.fence != user.stored_fence:
        every_chain = [(reading.wallet, reading.chain_id) for reading in valued.readings]
        valued = valued.based_on(stored_states(connection, {user.user_id: every_chain})[user.user_id])
    return _Plan(valued, user, success(valued, user, intervals, now))


def _write(connection: Connection, plans: Sequence[_Plan], chain_ids: Sequence[int], now: datetime) -> HoldingsChange:
    changed = [plan for plan in plans if plan.ending.changed]
    written = {plan.user.user_id: plan.valued.positions for plan in changed}
    rows = write_holdings(connection, written) if written else _UNCHANGED
    snapshots = [
        (plan.user.user_id, plan.valued.sync.operation_id, _SNAPSHOT_TYPE[plan.valued.sync.spec.trigger])
        for plan in plans
        if plan.ending.end.snapshot
    ]
    if snapshots:
        snapshot_holdings(connection, snapshots, now)
    if changed:
        _keep_evidence(connection, [plan.valued for plan in changed], now)
    read = [plan.valued for plan in plans if plan.ending.end.status != SUPERSEDED.status]
    statuses = [row for valued in read for row in chain_statuses(valued)]
    write_endings(connection, [plan.ending for plan in plans], statuses, chain_ids)
    if became_stale := [plan for plan in plans if plan.ending.became_stale]:
        _tell_what_stands(connection, became_stale, now)
    return rows


def _tell_what_stands(connection: Connection, plans: Sequence[_Plan], now: datetime) -> None:
    """Writes ``portfolio.updated`` for syncs that stored no positions: those stored before stand, and are stale now."""
    stored = read_portfolios(connection, [plan.user.user_id for plan in plans])
    events = []
    for plan in plans:
        end, portfolio = plan.ending.end, stored[plan.user.user_id]
        events.append(
            portfolio_updated(
                plan.ending.ref,
                version=end.version,
                at=now,
                duration_ms=end.duration_ms,
                positions=portfolio.positions,
                totals=portfolio.totals,
            )
        )
    insert_events(connection, events)


def _keep_evidence(connection: Connection, changed: Sequence[ValuedSync], now: datetime) -> None:
    """Keeps what the portfolios were valued by."""
    packer = EvidencePacker()
    kept = [
        SyncEvidence(
            valued.sync.operation_id,
            valued.sync.user_id,
            msgspec.Raw(packer.pack(valued.positions, valued.valuer, valued.readings, valued.read_at)),
        )
        for valued in changed
    ]
    keep_evidence(connection, kept, packer.tokens(), now)


def _result(plan: _Plan, rows: HoldingsChange) -> StoredSync:
    ending, before = plan.ending, plan.user.operation_status
    if before is not None and before in ENDED_STATUSES:
        end = msgspec.structs.replace(ending.end, status=before, version=plan.user.version)
        ending = ending._replace(end=end, changed=False, became_stale=False)
    return _stored(ending, rows)


def _stored(ending: Ending, rows: HoldingsChange = _UNCHANGED) -> StoredSync:
    end = ending.end
    return StoredSync(
        end.operation_id,
        end.user_id,
        end.status,
        end.version,
        ending.changed or ending.became_stale,
        rows if ending.changed else _UNCHANGED,
        end.error_message,
        ending.retry_at,
        end.duration_ms,
    )
