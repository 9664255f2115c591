"""Opening syncs by the same steps: of one user by request (a click), or of many due users (a sweep)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from moonx_pipeline.domain.events import SyncRef, sync_started
from moonx_pipeline.domain.reasons import (
    BAD_TRIGGER,
    BREAKER_OPEN,
    DISABLED,
    NO_WALLETS,
    REPLACED,
    REQUEST_TAKEN,
)
from moonx_pipeline.domain.schedule import lease_until
from moonx_pipeline.metrics.syncs import count_sync
from moonx_pipeline.storage.connection.retries import with_retries
from moonx_pipeline.storage.requests.queue import refuse_request
from moonx_pipeline.storage.syncs.opening import (
    NewOperation,
    OpenedOperation,
    open_operations,
    refuse_operation,
)
from moonx_pipeline.storage.syncs.operations import lock_users
from moonx_pipeline.storage.syncs.outbox import insert_events
from moonx_pipeline.sync.ending import Ending, count_endings, failed_event, without_result, write_endings
from moonx_pipeline.sync.protection.breakers import Breakers, load_breakers, report_breakers, user_key
from moonx_pipeline.sync.recovery import process_worker
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline.sync.selection import SWEEP, Candidate, Requested, Selection
from moonx_pipeline.sync.spec import PERSONAL_TRIGGERS, TRIGGERS, OpenSync, SyncRefused, SyncSpec, TimeBudget

_RECORDED: Final = (DISABLED, BREAKER_OPEN)
"""Refusals recorded as an operation; the others are recorded only on the request."""


def open_requested(runtime: Runtime, spec: SyncSpec, now: datetime) -> OpenSync:
    """Opens a sync, in one transaction; opening the same operation again returns the same sync.

    Args:
        runtime: The database, the providers and the rules.
        spec: The requested sync.
        now: When it starts.

    Raises:
        SyncRefused: It can't start; its operation and its request are recorded as refused.
    """
    if spec.trigger not in TRIGGERS:
        message = BAD_TRIGGER.say(trigger=spec.trigger, triggers=", ".join(sorted(TRIGGERS)))
        raise SyncRefused(BAD_TRIGGER, message)
    db, budget = runtime.db, TimeBudget.starting_now(runtime.policy.sync_seconds)
    worker_id = with_retries(db.retries, budget.deadline, partial(process_worker, runtime, now))
    keys = [*runtime.providers.breaker_keys, user_key(spec.user_id)]
    breakers = load_breakers(db, runtime.policy.breakers, keys, deadline=budget.deadline)
    try:
        _check_breaker(spec, breakers)
        (sync,) = open_syncs(runtime, Requested(spec), breakers, budget, worker_id, now)
    except SyncRefused as refusal:
        new = _new_operation(spec, "portfolio", worker_id, now)
        if db.transaction(budget.deadline, _refuse, new, refusal):
            count_sync(spec.trigger, refusal.reason.status)
        report_breakers(db, breakers)
        raise
    return sync


def open_syncs(
    runtime: Runtime,
    selection: Selection,
    breakers: Breakers,
    budget: TimeBudget,
    worker_id: str,
    now: datetime,
) -> list[OpenSync]:
    """Opens the selected syncs, in one transaction.

    Args:
        runtime: The database, the providers and the rules.
        selection: Which syncs.
        breakers: Those of all providers; breakers of users with counted failures are added.
        budget: The time that the syncs share.
        worker_id: The process that executes them.
        now: When they start.

    Raises:
        SyncRefused: A requested sync can't open.
    """
    policy = runtime.policy
    lease = lease_until(now, budget.seconds, policy.intervals)
    candidates, opened, replaced = runtime.db.transaction(
        budget.deadline, _begin, selection, policy.chain_ids, worker_id, lease, now
    )
    count_endings(replaced)
    failing = [user_key(candidate.spec.user_id) for candidate in candidates if candidate.has_failed]
    if failing:
        breakers = breakers.joined(load_breakers(runtime.db, policy.breakers, failing, deadline=budget.deadline))
    return [
        OpenSync(
            candidate.spec,
            ref,
            fence,
            candidate.wallets,
            candidate.with_metadata,
            candidate.tokens_held,
            candidate.unmoved_chains,
            candidate.is_new,
            candidate.type == SWEEP,
            breakers,
            budget,
        )
        for candidate, (ref, fence) in zip(candidates, opened, strict=True)
    ]


def _begin(
    connection: Connection,
    selection: Selection,
    chain_ids: tuple[int, ...],
    worker_id: str,
    lease: datetime,
    now: datetime,
) -> tuple[list[Candidate], list[tuple[SyncRef, int]], list[Ending]]:
    candidates = selection.select(connection)
    replaced = [ending for candidate in candidates for ending in _replace_swept(connection, candidate, now)]
    latest = max((ending.ref.started_at for ending in replaced), default=now)
    new = [
        # After waiting for the lock, it starts no earlier than the previous sync ended.
        _new_operation(one.spec, one.type, worker_id, max(now, latest, one.last_ended or now))
        for one in candidates
    ]
    operations = open_operations(connection, new, lease) if new else {}
    opened = [(_ref(one, operations), operations[one.spec.operation_id].fence) for one in candidates]
    insert_events(
        connection,
        [
            sync_started(ref, version=one.version, chains=chain_ids)
            for one, (ref, _) in zip(candidates, opened, strict=True)
            if one.type != SWEEP
        ],
    )
    return candidates, opened, replaced


def _replace_swept(connection: Connection, candidate: Candidate, now: datetime) -> list[Ending]:
    """Ends a sweep's running syncs of a user who has requested one."""
    if not candidate.swept:
        return []
    user_id = candidate.spec.user_id
    user = lock_users(connection, [(user_id, candidate.spec.operation_id)])[user_id]
    ends = [
        without_result(ref, user, REPLACED, REPLACED.words, now=max(now, ref.started_at)) for ref in candidate.swept
    ]
    write_endings(connection, ends)
    return ends


def _ref(candidate: Candidate, operations: Mapping[UUID, OpenedOperation]) -> SyncRef:
    spec = candidate.spec
    opened = operations.get(spec.operation_id)
    if opened is None:
        raise SyncRefused(REQUEST_TAKEN, REQUEST_TAKEN.say(request=spec.request_id, user=spec.user_id))
    return SyncRef(spec.operation_id, spec.user_id, candidate.wallets[0], spec.trigger, opened.started_at, opened.retry)


def _new_operation(spec: SyncSpec, type_: str, worker_id: str, started_at: datetime) -> NewOperation:
    return NewOperation(
        spec.operation_id,
        spec.user_id,
        type_,
        spec.priority,
        spec.trigger,
        spec.request_id,
        worker_id,
        spec.run_id,
        spec.retry,
        started_at,
        spec.trigger in PERSONAL_TRIGGERS,
    )


def _check_breaker(spec: SyncSpec, breakers: Breakers) -> None:
    key = user_key(spec.user_id)
    if breakers.is_open(key):
        refusal = breakers.refusal(key)
        message = BREAKER_OPEN.say(user=spec.user_id, refusal=refusal, key=key)
        raise SyncRefused(BREAKER_OPEN, message, retry_at=refusal.retry_at)


def _refuse(connection: Connection, new: NewOperation, refusal: SyncRefused) -> bool:
    """Records a refusal on the request and, for a known user, as an operation; returns whether that is new."""
    reason, message, is_new = refusal.reason, str(refusal), False
    if reason in _RECORDED:
        refused = refuse_operation(connection, new, code=reason.code, message=message)
        if refused is not None:
            first_wallet, version = refused
            now = new.started_at
            ref = SyncRef(new.operation_id, new.user_id, first_wallet, new.trigger, now)
            retry_at = refusal.retry_at
            insert_events(connection, [failed_event(ref, reason, message, version=version, now=now, retry_at=retry_at)])
            is_new = True
    if new.request_id is not None and reason in (*_RECORDED, NO_WALLETS):
        refuse_request(connection, new.request_id, message)
    return is_new
