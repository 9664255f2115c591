"""Recovery after dead processes: fails their operations, requeues their requests, and makes their users due."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine

from moonx_pipeline.domain.reasons import BROKEN_OFF, WORKER_LOST, Reason
from moonx_pipeline.metrics.syncs import time_recovery
from moonx_pipeline.storage.requests.queue import requeue_requests
from moonx_pipeline.storage.syncs.operations import lock_users
from moonx_pipeline.storage.syncs.outbox import insert_events
from moonx_pipeline.storage.syncs.workers import (
    LostOperation,
    WorkerPresence,
    dead_workers,
    forget_workers,
    lost_operations,
)
from moonx_pipeline.sync.ending import Ending, count_endings, without_result, write_endings
from moonx_pipeline.sync.protection.alerts import worker_lost_alert
from moonx_pipeline.sync.runtime import Runtime, SyncPolicy


def _log() -> Any:
    import structlog  # with all that it draws on, a tenth of every start; few starts find something to tell

    return structlog.get_logger("recovery")


class Recovery(NamedTuple):
    """The result of a recovery.

    Attributes:
        workers: Processes found dead.
        operations: Their operations, now closed.
    """

    workers: tuple[str, ...]
    operations: tuple[LostOperation, ...]


def recover_lost(runtime: Runtime, now: datetime) -> Recovery:
    """Finds dead processes and closes what they left open, in one transaction; one caller at a time.

    A sync that runs longer than the maximum is lost, for example because the database went away right after it opened;
    it is closed, too. The database's clock measures the time: a process with a fast clock would close what others
    still execute.

    Args:
        runtime: The database, the maximum time of a sync, and how often a request may lose its worker.
        now: The recorded end of the operations; it decides nothing.
    """
    policy = runtime.policy
    with runtime.db.engine.begin() as connection:
        workers = dead_workers(connection, grace_seconds=policy.sync_seconds)
        look = partial(lost_operations, connection, workers, longest_seconds=3 * policy.sync_seconds + 60)
        lost, endings = _close(connection, look, policy, WORKER_LOST, now)
        for worker in sorted({operation.worker_id for operation in lost}):
            ids = [str(operation.ref.operation_id) for operation in lost if operation.worker_id == worker]
            insert_events(connection, [worker_lost_alert(worker, ids, now)])
        if workers:
            forget_workers(connection, workers)
    count_endings(endings)
    for operation in lost:
        _log().warning(
            "sync closed, its worker is dead or has lost it",
            user=operation.ref.user_id,
            operation=str(operation.ref.operation_id),
            worker=operation.worker_id,
        )
    return Recovery(tuple(workers), tuple(lost))


def close_unfinished(runtime: Runtime, worker_id: str, now: datetime) -> list[LostOperation]:
    """Closes what a live process left open, once its run has ended.

    If a run is broken off between two steps, nothing else records how its sync ended.

    Args:
        runtime: As for ``recover_lost``.
        worker_id: The process; it executes nothing at this moment.
        now: When the operations end.
    """
    with runtime.db.engine.begin() as connection:
        look = partial(lost_operations, connection, [worker_id])
        lost, endings = _close(connection, look, runtime.policy, BROKEN_OFF, now)
    count_endings(endings)
    return lost


def _close(
    connection: Connection,
    look: Callable[[], list[LostOperation]],
    policy: SyncPolicy,
    reason: Reason,
    now: datetime,
) -> tuple[list[LostOperation], list[Ending]]:
    """Ends the operations that ``look`` finds; returns them and their endings."""
    lost = look()
    if not lost:
        return [], []
    users = lock_users(connection, [(operation.ref.user_id, operation.ref.operation_id) for operation in lost])
    # A sync may have ended on its own during the wait for the locks.
    lost = [operation for operation in look() if operation.ref.user_id in users]
    requeue_requests(connection, [operation.ref.operation_id for operation in lost], policy.most_tries)
    endings = [
        without_result(
            operation.ref,
            users[operation.ref.user_id],
            reason,
            reason.say(worker=operation.worker_id),
            now=now,
        )
        for operation in lost
    ]
    write_endings(connection, endings)
    return lost, endings


_presences: dict[tuple[int, Engine], WorkerPresence] = {}
_lock = threading.Lock()


def process_worker(runtime: Runtime, now: datetime, *, on_cancel: Callable[[str], None] | None = None) -> str:
    """The id under which this process executes syncs; the first call takes its lock.

    The first call also recovers what dead processes left open: after a crash, the first process to start recovers.

    Args:
        runtime: As for ``recover_lost``.
        now: The time.
        on_cancel: Passed at the first call by a process that executes Dagster runs; see ``WorkerPresence``.
    """
    engine = runtime.db.engine
    key = (os.getpid(), engine)
    with _lock:
        presence = _presences.get(key)
        if presence is not None:
            presence.ensure()
            return presence.id
        started = time.monotonic()
        presence = _presences[key] = WorkerPresence(engine, on_cancel)
        found = recover_lost(runtime, now)
        seconds = time.monotonic() - started
        milliseconds = int(seconds * 1000)
        presence.recovered(milliseconds)
        time_recovery(seconds)
    if found.operations:
        _log().info("recovered", operations=len(found.operations), workers=len(found.workers), ms=milliseconds)
    return presence.id


def leave_worker(engine: Engine) -> None:
    """Ends this process's presence in an orderly way."""
    with _lock:
        presence = _presences.pop((os.getpid(), engine), None)
    if presence is not None:
        presence.leave()


def _leave_parents_presences() -> None:
    global _lock
    _lock = threading.Lock()
    for (process_id, _), presence in _presences.items():
        if process_id != os.getpid():
            presence.left_to_parent()


os.register_at_fork(after_in_child=_leave_parents_presences)
