"""Opening a sync: the user, his wallets, its number, and the event that it began."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Engine

from moonx_pipeline.domain.chains import CHAINS
from moonx_pipeline.domain.events import SyncFacts, sync_started
from moonx_pipeline.storage.database import once_more
from moonx_pipeline.storage.operations import OpenedRow, begin_operation, open_user
from moonx_pipeline.storage.outbox import insert_events
from moonx_pipeline.storage.requests import refuse_request
from moonx_pipeline.sync.order import PERSONAL_TRIGGERS, TRIGGERS, OpenSync, SyncOrder, SyncRefused


@once_more
def open_sync(engine: Engine, order: SyncOrder, now: datetime) -> OpenSync:
    """Opens a sync, in one transaction; opening the same operation again gives the same sync.

    Args:
        engine: The pipeline's database.
        order: What is asked.
        now: When it starts.

    Raises:
        SyncRefused: It can't begin; a request that asked for it is marked refused with the reason.
    """
    if order.trigger not in TRIGGERS:
        raise SyncRefused(
            "bad_trigger", f"'{order.trigger}' starts no syncs; what does: {', '.join(sorted(TRIGGERS))}."
        )
    try:
        with engine.begin() as connection:
            row = open_user(
                connection,
                user_id=order.user_id,
                operation_id=order.operation_id,
                active=order.trigger in PERSONAL_TRIGGERS,
            )
            _check(order, row)
            begun = begin_operation(
                connection,
                operation_id=order.operation_id,
                user_id=order.user_id,
                trigger=order.trigger,
                priority=order.priority,
                request_id=order.request_id,
                fence=row.fence,
                version=row.version,
                started_at=now,
                worker_id=order.worker_id,
                run_id=order.run_id,
                retry=order.retry,
            )
            if begun is None:
                raise SyncRefused(
                    "request_taken",
                    f"Request {order.request_id} of user '{order.user_id}' is unknown, or another sync has served it.",
                )
            started_at, retry = begun
            facts = SyncFacts(order.operation_id, order.user_id, row.wallets[0], order.trigger, started_at, retry)
            insert_events(connection, [sync_started(facts, version=row.version, chains=[chain.id for chain in CHAINS])])
    except SyncRefused as refusal:
        if order.request_id is not None and refusal.code in ("no_wallets", "disabled"):
            _refuse(engine, order.request_id, str(refusal))
        raise
    return OpenSync(order, facts, row.fence, row.wallets, row.never_read, row.tokens_held)


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


def _refuse(engine: Engine, request_id: UUID, reason: str) -> None:
    with engine.begin() as connection:
        refuse_request(connection, request_id, reason)
