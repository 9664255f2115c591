"""Storing syncs: holdings, history, status, operation and events, in one transaction under the users' locks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine

from moonx_pipeline.domain.chains import CHAIN_BY_ID, CHAINS
from moonx_pipeline.domain.events import Event, portfolio_updated, sync_completed, sync_failed
from moonx_pipeline.domain.portfolio import ChainOutcome
from moonx_pipeline.domain.schedule import Intervals, next_due
from moonx_pipeline.domain.valuation import content_hash
from moonx_pipeline.storage.holdings import HoldingsChange, snapshot_holdings, stored_state, write_holdings
from moonx_pipeline.storage.operations import ChainStatusRow, LockedUser, OperationEnd, end_operations, lock_users
from moonx_pipeline.storage.outbox import insert_events
from moonx_pipeline.sync.order import OpenSync
from moonx_pipeline.sync.value import ValuedSync

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


@dataclass(slots=True)
class _Plan:
    """What storing one sync writes."""

    valued: ValuedSync
    user: LockedUser
    end: OperationEnd
    write: bool
    snapshot: bool
    events: list[Event]
    retry_at: datetime | None


def persist_syncs(
    engine: Engine, syncs: Sequence[ValuedSync], *, intervals: Intervals, now: datetime
) -> list[StoredSync]:
    """Stores syncs of different users, all or none; storing one again changes nothing.

    A sync is stored only while none that opened later has been; then it ends as ``cancelled``. A sync that
    read no chain at all ends as ``failed`` and leaves every holding as it was.

    Args:
        engine: The pipeline's database.
        syncs: Of different users.
        intervals: When users are due again.
        now: When they end.

    Returns:
        One result a sync, in the same order.
    """
    with engine.begin() as connection:
        locked = lock_users(connection, [(s.sync.order.user_id, s.sync.order.operation_id) for s in syncs])
        plans = [_plan(connection, valued, locked[valued.sync.order.user_id], intervals, now) for valued in syncs]
        open_plans = [plan for plan in plans if plan.user.operation_status not in _ENDED]
        rows = _write(connection, open_plans, now)
    return [_result(plan, rows) for plan in plans]


def fail_sync(
    engine: Engine, sync: OpenSync, *, code: str, message: str, intervals: Intervals, now: datetime
) -> StoredSync | None:
    """Records that a sync ended without anything to store; ``None`` where it had ended already.

    Args:
        engine: The pipeline's database.
        sync: The sync.
        code: What kind of failure.
        message: One sentence for people.
        intervals: When the user is due again.
        now: When it failed.
    """
    order = sync.order
    with engine.begin() as connection:
        user = lock_users(connection, [(order.user_id, order.operation_id)]).get(order.user_id)
        if user is None or user.operation_status in _ENDED:
            return None
        end, event = _failure(sync, user, code, message, None, intervals, now)
        end_operations(connection, [end])
        insert_events(connection, [event])
    return StoredSync(
        order.operation_id, order.user_id, "failed", user.version, False, _UNCHANGED, message, None, end.duration_ms
    )


def _plan(connection: Connection, valued: ValuedSync, user: LockedUser, intervals: Intervals, now: datetime) -> _Plan:
    sync = valued.sync
    if user.stored_fence > sync.fence:
        message = "A later sync of this user was stored first, so this one was not."
        end, event = _failure(sync, user, "superseded", message, None, intervals, now)
        end = end._replace(status="cancelled", failures=user.failures, next_sync_at=None, stored_fence=None)
        return _Plan(valued, user, end, False, False, [event], None)

    retry_at = min((r.retry_at for r in valued.unread if r.retry_at), default=None)
    if len(valued.unread) == len(valued.readings):
        end, event = _failure(sync, user, "no_chain_read", _unread_sentence(valued), retry_at, intervals, now)
        end = end._replace(chains=_chain_report(valued), **_costs(valued))
        return _Plan(valued, user, end, False, False, [event], retry_at)

    if valued.stored is not None and valued.stored.fence != user.stored_fence:
        kept = [(r.wallet, r.chain_id) for r in valued.readings]
        valued = valued.based_on(stored_state(connection, user.user_id, kept))
    return _success(valued, user, intervals, now, retry_at)


def _success(
    valued: ValuedSync, user: LockedUser, intervals: Intervals, now: datetime, retry_at: datetime | None
) -> _Plan:
    sync, totals = valued.sync, valued.totals
    digest = content_hash(valued.positions, [(r.wallet, r.chain_id) for r in valued.unread])
    changed = digest != user.content_hash
    version = user.version + 1 if changed else user.version
    snapshot = (
        changed or user.snapshot_at is None or user.snapshot_at.astimezone(UTC).date() < now.astimezone(UTC).date()
    )
    failed = valued.failed_chains
    duration_ms = _milliseconds(sync, now)
    end = OperationEnd(
        operation_id=sync.order.operation_id,
        user_id=user.user_id,
        status="partial" if failed else "completed",
        completed_at=now,
        duration_ms=duration_ms,
        version=version,
        tokens=len(valued.positions),
        chains_synced=len(CHAINS) - len(failed),
        total_value_usd=totals.value_usd,
        error_code="chains_failed" if failed else None,
        error_message=_unread_sentence(valued) if failed else None,
        stored_fence=sync.fence,
        content_hash=digest,
        snapshot=snapshot,
        next_sync_at=next_due(now, 0, intervals),
        chains=_chain_report(valued),
        **_costs(valued),
    )
    events = [
        sync_completed(
            sync.facts,
            version=version,
            at=now,
            duration_ms=duration_ms,
            totals=totals,
            tokens=len(valued.positions),
            chains_synced=end.chains_synced,
            failed=failed,
        )
    ]
    if changed:
        events.append(
            portfolio_updated(
                sync.facts,
                version=version,
                at=now,
                duration_ms=duration_ms,
                positions=valued.positions,
                totals=totals,
            )
        )
    return _Plan(valued, user, end, changed, snapshot, events, retry_at)


def _write(connection: Connection, plans: Sequence[_Plan], now: datetime) -> HoldingsChange:
    written = {plan.user.user_id: plan.valued.positions for plan in plans if plan.write}
    rows = write_holdings(connection, written) if written else _UNCHANGED
    snapshots = [
        (plan.user.user_id, plan.end.operation_id, _SNAPSHOT_TYPE[plan.valued.sync.order.trigger])
        for plan in plans
        if plan.snapshot
    ]
    if snapshots:
        snapshot_holdings(connection, snapshots, now)
    if plans:
        statuses = [row for plan in plans if plan.end.status != "cancelled" for row in _chain_statuses(plan.valued)]
        end_operations(connection, [plan.end for plan in plans], statuses)
        insert_events(connection, [event for plan in plans for event in plan.events])
    return rows


def _result(plan: _Plan, rows: HoldingsChange) -> StoredSync:
    end, before = plan.end, plan.user.operation_status
    repeated = before in _ENDED
    return StoredSync(
        end.operation_id,
        end.user_id,
        before if repeated and before else end.status,
        plan.user.version if repeated else end.version,
        plan.write and not repeated,
        rows if plan.write and not repeated else _UNCHANGED,
        end.error_message,
        plan.retry_at,
        end.duration_ms,
    )


def _failure(
    sync: OpenSync,
    user: LockedUser,
    code: str,
    message: str,
    retry_at: datetime | None,
    intervals: Intervals,
    now: datetime,
) -> tuple[OperationEnd, Event]:
    failures = user.failures + 1
    duration_ms = _milliseconds(sync, now)
    end = OperationEnd(
        operation_id=sync.order.operation_id,
        user_id=user.user_id,
        status="failed",
        completed_at=now,
        duration_ms=duration_ms,
        version=user.version,
        error_code=code,
        error_message=message,
        next_sync_at=next_due(now, failures, intervals),
        failures=failures,
    )
    event = sync_failed(
        sync.facts,
        version=user.version,
        at=now,
        duration_ms=duration_ms,
        code=code,
        message=message,
        retry_at=retry_at,
    )
    return end, event


def _milliseconds(sync: OpenSync, now: datetime) -> int:
    return max(0, int((now - sync.facts.started_at).total_seconds() * 1000))


def _costs(valued: ValuedSync) -> dict[str, Any]:
    return {"provider_calls": len(valued.scope.calls), "compute_units": valued.scope.compute_units}


def _unread_sentence(valued: ValuedSync) -> str:
    reasons = "; ".join(f"{CHAIN_BY_ID[chain.chain_id].name}: {chain.reason}" for chain in valued.failed_chains)
    return f"Not read: {reasons}"


def _chain_report(valued: ValuedSync) -> list[dict[str, Any]]:
    return [
        {
            "walletAddress": r.wallet,
            "chainId": r.chain_id,
            "outcome": r.outcome.value,
            "source": r.source,
            "tokens": len(r.balances),
            "reason": r.reason,
            "retryAt": r.retry_at,
        }
        for r in valued.readings
    ]


def _chain_statuses(valued: ValuedSync) -> list[ChainStatusRow]:
    return [
        ChainStatusRow(
            user_id=valued.sync.order.user_id,
            wallet_address=r.wallet,
            chain_id=r.chain_id,
            ok=r.outcome is ChainOutcome.OK,
            attempted_at=None if r.outcome is ChainOutcome.SKIPPED else valued.read_at,
            error=r.reason,
            source=r.source,
            coverage=r.coverage.value if r.outcome is ChainOutcome.OK else None,
        )
        for r in valued.readings
    ]
