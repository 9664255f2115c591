"""Cancelling syncs: the stored operation ends first, so that a run still in progress can't store its result."""

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
        user_id: The user.
        operation_id: The running sync; ``None`` if only a request waited.
        request_id: The request that the sync served, or that waited.
        run_id: The run that executes the sync. If it executes no other, its process was told to end it.
    """

    user_id: str
    operation_id: UUID | None
    request_id: UUID | None
    run_id: str | None


def cancel_operation(engine: Engine, sync_id: UUID, message: str, now: datetime) -> Cancellation | None:
    """Cancels a running or waiting sync, with its request and its event, in one transaction.

    From then on it can't store anything, and the process that executes its run is told to end it at once.

    Args:
        engine: The pipeline's database.
        sync_id: Id of the sync (its run's id if it has its own run), or of a request.
        message: Why, one sentence for users.
        now: When it ends.

    Returns:
        ``None`` if there is nothing to cancel: the sync has ended or never existed.
    """
    with engine.begin() as connection:
        user_id = owner_of(connection, sync_id)
        if user_id is None:
            return None
        # Syncs open and claim their requests under this lock, so what is read now stays true.
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
    """Cancels a request that no sync has taken; returns whether it waited. A sync that has taken it continues."""
    with engine.begin() as connection:
        return cancel_waiting_request(connection, request_id, message)
