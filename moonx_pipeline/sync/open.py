"""Opening a sync: the user, his wallets, its number, and the event that it began."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, Engine

from moonx_pipeline.domain.chains import CHAINS
from moonx_pipeline.domain.events import Event, SyncFacts, sync_failed, sync_started
from moonx_pipeline.domain.schedule import lease_until
from moonx_pipeline.metrics.syncs import count_sync
from moonx_pipeline.storage.opening import NewOperation, OpenedRow, begin_operation, open_user, refuse_operation
from moonx_pipeline.storage.outbox import insert_events
from moonx_pipeline.storage.requests import refuse_request
from moonx_pipeline.sync.breaking import Breakers, read_breakers, settle, user_key
from moonx_pipeline.sync.order import PERSONAL_TRIGGERS, TRIGGERS, OpenSync, SyncOrder, SyncRefused
from moonx_pipeline.sync.recovery import process_worker
from moonx_pipeline.sync.repeat import in_database
from moonx_pipeline.sync.sources import Sources

_RECORDED: Final = frozenset({"disabled", "breaker_open"})
"""Refusals that are an outcome of their own; the others say that there was nothing to begin."""


def open_sync(engine: Engine, sources: Sources, order: SyncOrder, now: datetime) -> OpenSync:
    """Opens a sync, in one transaction; opening the same operation again gives the same sync.

    Args:
        engine: The pipeline's database.
        sources: The providers that it will ask.
        order: What is asked.
        now: When it starts.

    Raises:
        SyncRefused: It can't begin; the operation and the request that asked for it are recorded as refused.
    """
    if order.trigger not in TRIGGERS:
        raise SyncRefused(
            "bad_trigger", f"'{order.trigger}' starts no syncs; what does: {', '.join(sorted(TRIGGERS))}."
        )
    began = time.monotonic()
    deadline = began + sources.sync_seconds
    worker_id = in_database(sources.repeats, deadline, lambda: process_worker(engine, sources, now))
    new = NewOperation(
        order.operation_id,
        order.user_id,
        order.trigger,
        order.priority,
        order.request_id,
        worker_id,
        order.run_id,
        order.retry,
    )
    keys = [*sources.breaker_keys, user_key(order.user_id)]
    breakers = in_database(sources.repeats, deadline, lambda: read_breakers(engine, sources.breaking, keys))
    try:
        _check_breaker(order, breakers)
        lease = lease_until(now, sources.sync_seconds, sources.intervals)
        row, facts = in_database(sources.repeats, deadline, lambda: _begin(engine, order, new, now, lease))
    except SyncRefused as refusal:
        refusal_of = refusal
        in_database(sources.repeats, deadline, lambda: _refuse(engine, order, new, refusal_of, now))
        settle(engine, sources.breaking, breakers)
        raise
    return OpenSync(
        order,
        facts,
        row.fence,
        row.wallets,
        row.never_read,
        row.tokens_held,
        breakers,
        began,
        sources.sync_seconds,
    )


def _begin(
    engine: Engine, order: SyncOrder, new: NewOperation, now: datetime, lease: datetime
) -> tuple[OpenedRow, SyncFacts]:
    with engine.begin() as connection:
        row = open_user(
            connection,
            user_id=order.user_id,
            operation_id=order.operation_id,
            active=order.trigger in PERSONAL_TRIGGERS,
            lease_until=lease,
        )
        _check(order, row)
        starts = max(now, row.last_ended or now)
        begun = begin_operation(connection, new, fence=row.fence, version=row.version, started_at=starts)
        if begun is None:
            raise SyncRefused(
                "request_taken",
                f"Request {order.request_id} of user '{order.user_id}' is unknown, or another sync has served it.",
            )
        facts = SyncFacts(
            order.operation_id, order.user_id, row.wallets[0], order.trigger, begun.started_at, begun.retry
        )
        events = [_replaced(facts, swept, since, row.version, now) for swept, since in begun.replaced]
        insert_events(
            connection, [*events, sync_started(facts, version=row.version, chains=[chain.id for chain in CHAINS])]
        )
    for _ in begun.replaced:
        count_sync("schedule", "cancelled")
    return row, facts


def _replaced(facts: SyncFacts, swept: UUID, since: datetime, version: int, now: datetime) -> Event:
    """A sweep's sync whose place this one took."""
    return sync_failed(
        SyncFacts(swept, facts.user_id, facts.first_wallet, "schedule", since),
        version=version,
        at=now,
        duration_ms=max(0, int((now - since).total_seconds() * 1000)),
        code="superseded",
        message="A sync of this user that was asked for took the place of the sweep's.",
        retry_at=None,
    )


def _check(order: SyncOrder, row: OpenedRow) -> None:
    if not row.wallets:
        raise SyncRefused(
            "no_wallets",
            f"User '{order.user_id}' has no wallets: register them with 'moonx user add {order.user_id} ADDRESS'.",
        )
    if not row.enabled:
        raise SyncRefused(
            "disabled", f"Syncs of user '{order.user_id}' are disabled: set is_sync_enabled in user_sync_status."
        )
    if row.existing_status not in (None, "running", "pending"):
        raise SyncRefused(
            "already_ended",
            f"Sync {order.operation_id} of user '{order.user_id}' has ended as {row.existing_status}: start a new one.",
        )


def _check_breaker(order: SyncOrder, breakers: Breakers) -> None:
    key = user_key(order.user_id)
    if breakers.is_open(key):
        refusal = breakers.refusal(key)
        raise SyncRefused(
            "breaker_open",
            f"User '{order.user_id}' is not synced for now. {refusal} ('moonx breaker reset {key}' closes it)",
            retry_at=refusal.retry_at,
        )


def _refuse(engine: Engine, order: SyncOrder, new: NewOperation, refusal: SyncRefused, now: datetime) -> None:
    """Records a refusal: of the request always, and as an outcome of the user where there is one."""
    with engine.begin() as connection:
        is_new = refusal.code in _RECORDED and _record_refusal(connection, order, new, refusal, now)
        if order.request_id is not None and refusal.code in (*_RECORDED, "no_wallets"):
            refuse_request(connection, order.request_id, str(refusal))
    if is_new:
        count_sync(order.trigger, "refused")


def _record_refusal(
    connection: Connection, order: SyncOrder, new: NewOperation, refusal: SyncRefused, now: datetime
) -> bool:
    """Records the refusal of a sync; whether it was not recorded before."""
    refused = refuse_operation(connection, new, code=refusal.code, message=str(refusal), now=now)
    if refused is None:
        return False
    first_wallet, version = refused
    facts = SyncFacts(order.operation_id, order.user_id, first_wallet, order.trigger, now)
    event = sync_failed(
        facts,
        version=version,
        at=now,
        duration_ms=0,
        code=refusal.code,
        message=str(refusal),
        retry_at=refusal.retry_at,
    )
    insert_events(connection, [event])
    return True
