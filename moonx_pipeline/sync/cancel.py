"""Cancelling syncs: what is stored of them ends first, so that whatever still runs can't store any more."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Engine

from moonx_pipeline.domain.reasons import CANCELLED
from moonx_pipeline.storage.syncs.operations import lock_users
from moonx_pipeline.storage.syncs.unfinished import cancel_waiting_request, open_operation, owner_of
from moonx_pipeline.storage.syncs.workers import cancel_run
from moonx_pipeline.sync.ending import count_endings, without_result, write_endings


class Cancellation(NamedTuple):
    """What was cancelled.

    Attributes:
        user_id: Whose.
        operation_id: The sync that ran; ``None`` where only a request waited.
        request_id: The request that it served, or that waited.
        run_id: The run that carries the sync. Where it carries no other, its process was told to end it.
    """

    user_id: str
    operation_id: UUID | None
    request_id: UUID | None
    run_id: str | None


def cancel_operation(engine: Engine, sync_id: UUID, message: str, now: datetime) -> Cancellation | None:
    """Ends a sync that runs or waits as cancelled, with its request and its event, in one transaction.

    Nothing of it is stored from then on, and the process that carries its run is told to end it at once.

    Args:
        engine: The pipeline's database.
        sync_id: Of the sync, which is its run's id where it has a run of its own; or of a request.
        message: Why, one sentence for people.
        now: When it ends.

    Returns:
        ``None`` where there is nothing to cancel: it has ended, or there never was one.
    """
    with engine.begin() as connection:
        user_id = owner_of(connection, sync_id)
        if user_id is None:
            return None
        # Syncs open and claim their requests under this lock, so what is found now stays so.
        user = lock_users(connection, [(user_id, sync_id)]).get(user_id)
        operation = open_operation(connection, sync_id)
        if operation is None or user is None:
            has_waited = cancel_waiting_request(connection, sync_id, message)
            return Cancellation(user_id, None, sync_id, None) if has_waited else None
        ending = without_result(operation.ref, user, CANCELLED, message, now=now)
        write_endings(connection, [ending])
        if operation.run_id == str(operation.ref.operation_id):  # a sweep's run executes others' syncs as well
            cancel_run(connection, operation.run_id)
    count_endings([ending])
    return Cancellation(user_id, operation.ref.operation_id, operation.request_id, operation.run_id)


def cancel_request(engine: Engine, request_id: UUID, message: str) -> bool:
    """Ends a request that no sync has taken; whether it waited. A sync that has taken it goes on."""
    with engine.begin() as connection:
        return cancel_waiting_request(connection, request_id, message)
