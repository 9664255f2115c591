"""Selects the requests to dispatch next: a tick of the sensor ``sync_requests``, without the Dagster part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import Engine

from moonx_pipeline.settings.worker import WorkerSettings
from moonx_pipeline.storage.requests.dispatches import (
    Dispatch,
    OpenDispatch,
    Reconciliation,
    dispatch_next,
    open_dispatches,
    read_queue,
    reconcile,
    refuse_unservable,
)
from moonx_pipeline.storage.requests.pause import current_pause
from moonx_pipeline.storage.syncs.workers import list_workers

_RUNS_A_PROCESS: Final = 2
"""Runs in progress per worker process: one executing and one waiting. A click dispatched by the run trigger waits
behind no more than that; other requests wait here, where they have an order."""

_LEAST_RUNS: Final = 2
_LOOKED_AT_A_RUN: Final = 20
"""Requests to look at per run that could start, so that unservable requests hold up no others."""


class TickResult(NamedTuple):
    """What a tick has to do.

    Attributes:
        launches: Marked requests to dispatch now.
        reason: Why there are none, for users.
    """

    launches: list[Dispatch]
    reason: str


def paused(engine: Engine) -> str | None:
    """Why nothing may be dispatched, or ``None``."""
    with engine.connect() as connection:
        pause = current_pause(connection)
        if pause is None:
            return None
        queue = read_queue(connection)
    return f"{pause.sentence} {_requests(queue.waiting)} until 'moonx resume'."


def overdue(engine: Engine, worker: WorkerSettings) -> list[OpenDispatch]:
    """Requests whose runs should have started by now."""
    with engine.connect() as connection:
        return open_dispatches(connection, worker.batch_size)


def judge(look: OpenDispatch, run: tuple[str, str] | None, worker: WorkerSettings) -> Reconciliation:
    """Judges a request whose run did not start in time.

    Args:
        look: The request.
        run: The id and status of its run in Dagster; ``None`` if there is none.
        worker: Settings with how often a run is started again.
    """
    run_id, status = run or (None, None)
    if status in ("QUEUED", "STARTING", "STARTED", "MANAGED", "CANCELING"):
        return Reconciliation(look.request_id, look.number, "under_way")
    if status == "CANCELED":
        return Reconciliation(look.request_id, look.number, "canceled", f"Its run {run_id} was canceled in Dagster.")
    tries = look.attempts + 1
    if tries < worker.retries:
        return Reconciliation(look.request_id, look.number, "lost")
    why = (
        f"its run {run_id} ended as {status} before the sync began: see the run in Dagster."
        if run_id
        else "no run of it came to be: see the ticks of the sensor sync_requests in Dagster."
    )
    return Reconciliation(look.request_id, look.number, "lost", f"It was lost {tries} times; the last time {why}")


def next_tick(engine: Engine, worker: WorkerSettings, findings: Sequence[Reconciliation]) -> TickResult:
    """Settles earlier runs, refuses requests that can't be served, and marks the next requests for dispatch.

    Args:
        engine: The pipeline's database.
        worker: Settings with the size of a batch.
        findings: Findings on the requests from ``overdue``.
    """
    with engine.begin() as connection:
        reconcile(connection, findings)
        refused = refuse_unservable(connection, worker.batch_size * _LOOKED_AT_A_RUN)
        processes = sum(row.alive and row.takes_runs for row in list_workers(connection))
        capacity = max(_LEAST_RUNS, processes * _RUNS_A_PROCESS)
        launches = dispatch_next(connection, batch=worker.batch_size, capacity=capacity)
        if launches:
            return TickResult(launches, "")
        queue = read_queue(connection)
    said = f"{refused} that can't be served {_are(refused)} refused. " if refused else ""
    if queue.waiting:
        started = f"{queue.launched} run{'s are' if queue.launched != 1 else ' is'} started and not begun"
        alive = f"{processes} worker process{'es live' if processes != 1 else ' lives'}"
        return TickResult([], f"{said}{_requests(queue.waiting)}: {started}, and {alive}.")
    launched = f" for a run; of {queue.launched} it has not begun" if queue.launched else ""
    return TickResult([], f"{said}No request waits{launched}.")


def _requests(count: int) -> str:
    return f"{count:,} request{'s wait' if count != 1 else ' waits'}"


def _are(count: int) -> str:
    return "are" if count != 1 else "is"
