"""Closing what dead processes left: their operations fail, their requests wait again, their users are due."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple

import structlog
from sqlalchemy import Connection, Engine

from moonx_pipeline.domain.events import Event, SyncFacts
from moonx_pipeline.metrics.syncs import count_sync, time_recovery
from moonx_pipeline.storage.operations import LockedUser, OperationEnd, end_operations, lock_users
from moonx_pipeline.storage.outbox import insert_events
from moonx_pipeline.storage.requests import requeue_requests
from moonx_pipeline.storage.workers import (
    LostOperation,
    WorkerPresence,
    dead_workers,
    forget_workers,
    lost_operations,
)
from moonx_pipeline.sync.alerts import worker_lost_alert
from moonx_pipeline.sync.sources import Sources
from moonx_pipeline.sync.unfinished import end_unfinished

WORKER_LOST: Final = "sync_worker_lost"
INTERRUPTED: Final = "interrupted"

_log = structlog.get_logger("recovery")


class Recovery(NamedTuple):
    """What was found.

    Attributes:
        workers: Processes that were found dead.
        operations: What they were at, now closed.
    """

    workers: tuple[str, ...]
    operations: tuple[LostOperation, ...]


def recover_lost(engine: Engine, sources: Sources, now: datetime) -> Recovery:
    """Finds dead processes and closes what they left, in one transaction; by one caller at a time.

    A sync that runs for longer than any can was lost by its process, such as when it was opened and the database
    went away before it could say so; it is closed, too. How long it has run is the database's word: a process whose
    clock is fast would close what others are at.

    Args:
        engine: The pipeline's database.
        sources: For the longest time of a sync, and how often a request may be lost with its worker.
        now: When the operations end; nothing is decided by it.
    """
    with engine.begin() as connection:
        workers = dead_workers(connection, grace_seconds=sources.sync_seconds)
        look = partial(lost_operations, connection, workers, longest_seconds=3 * sources.sync_seconds + 60)
        lost = _close(connection, look, sources, now, code=WORKER_LOST, why="Worker {worker} died while it carried")
        for worker in sorted({operation.worker_id for operation in lost}):
            ids = [str(operation.operation_id) for operation in lost if operation.worker_id == worker]
            insert_events(connection, [worker_lost_alert(worker, ids, now)])
        if workers:
            forget_workers(connection, workers)
    for operation in lost:
        _count(operation, WORKER_LOST, now)
        _log.warning(
            "sync closed, its worker is dead or has lost it",
            user=operation.user_id,
            operation=str(operation.operation_id),
            worker=operation.worker_id,
        )
    return Recovery(tuple(workers), tuple(lost))


def close_unfinished(engine: Engine, sources: Sources, worker_id: str, now: datetime) -> list[LostOperation]:
    """Closes what a living process has left open, once its run is over.

    A run that is broken off between two of its steps has nobody left who would say how its sync ended.

    Args:
        engine: The pipeline's database.
        sources: As for ``recover_lost``.
        worker_id: The process; it carries nothing at this moment.
        now: When the operations end.
    """
    with engine.begin() as connection:
        look = partial(lost_operations, connection, [worker_id])
        lost = _close(connection, look, sources, now, code=INTERRUPTED, why="Its run was broken off during")
    for operation in lost:
        _count(operation, INTERRUPTED, now)
    return lost


def _count(operation: LostOperation, code: str, now: datetime) -> None:
    milliseconds = max(0, int((now - operation.started_at).total_seconds() * 1000))
    count_sync(operation.trigger, "failed", milliseconds=milliseconds, code=code)


def _close(
    connection: Connection,
    look: Callable[[], list[LostOperation]],
    sources: Sources,
    now: datetime,
    *,
    code: str,
    why: str,
) -> list[LostOperation]:
    """Ends what a look finds as failed; returns it."""
    lost = look()
    if not lost:
        return []
    users = lock_users(connection, [(operation.user_id, operation.operation_id) for operation in lost])
    # One may have ended by itself while the locks were waited for.
    lost = [operation for operation in look() if operation.user_id in users]
    requeue_requests(connection, [operation.operation_id for operation in lost], sources.repeats.tries)
    ended = [_end(operation, users[operation.user_id], now, code, why) for operation in lost]
    end_operations(connection, [end for end, _ in ended])
    insert_events(connection, [event for _, event in ended])
    return lost


def _end(operation: LostOperation, user: LockedUser, now: datetime, code: str, why: str) -> tuple[OperationEnd, Event]:
    facts = SyncFacts(
        operation.operation_id,
        operation.user_id,
        operation.first_wallet,
        operation.trigger,
        operation.started_at,
        operation.retry_count,
    )
    message = f"{why.format(worker=operation.worker_id)} this sync. The user is due again."
    return end_unfinished(facts, user, status="failed", code=code, message=message, now=now, due_at=now)


_presences: dict[tuple[int, Engine], WorkerPresence] = {}
_lock = threading.Lock()


def process_worker(
    engine: Engine, sources: Sources, now: datetime, *, on_cancel: Callable[[str], None] | None = None
) -> str:
    """The id under which this process carries syncs; its lock is held from the first call on.

    The first call also closes what dead processes had left: whatever starts first after a crash recovers.

    Args:
        engine: The pipeline's database.
        sources: As for ``recover_lost``.
        now: The time.
        on_cancel: Given at the first call by a process that takes Dagster's runs; see ``WorkerPresence``.
    """
    key = (os.getpid(), engine)
    with _lock:
        presence = _presences.get(key)
        if presence is not None:
            presence.ensure()
            return presence.id
        started = time.monotonic()
        presence = _presences[key] = WorkerPresence(engine, on_cancel)
        found = recover_lost(engine, sources, now)
        seconds = time.monotonic() - started
        milliseconds = int(seconds * 1000)
        presence.recovered(milliseconds)
        time_recovery(seconds)
    if found.operations:
        _log.info("recovered", operations=len(found.operations), workers=len(found.workers), ms=milliseconds)
    return presence.id


def leave_worker(engine: Engine) -> None:
    """Ends this process's presence, in order, when it has nothing more to do."""
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
