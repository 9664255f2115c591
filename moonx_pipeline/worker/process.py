"""One process of a worker: forked with the definitions loaded, it opens its own connections and executes runs."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final
from uuid import UUID

import dagster as dg
import structlog
from billiard.process import current_process
from billiard.util import set_pdeathsig
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from moonx_pipeline.clock import utc_now
from moonx_pipeline.defs.dagster_private import capture_interrupts
from moonx_pipeline.defs.runs import cancel_sync, request_of, worker_of
from moonx_pipeline.errors import OperatorError
from moonx_pipeline.metrics.prefork import take_place
from moonx_pipeline.settings import Settings, load_settings
from moonx_pipeline.storage.connection.engine import ready_engine
from moonx_pipeline.storage.syncs.unfinished import why_not_begun
from moonx_pipeline.storage.syncs.workers import lock_run
from moonx_pipeline.sync import run_tags
from moonx_pipeline.sync.recovery import close_unfinished, leave_worker, process_worker
from moonx_pipeline.sync.runtime import process_runtime
from moonx_pipeline.tracing import start_tracing, stop_tracing

_WATCH_SECONDS: Final = 1.0
_log = structlog.get_logger("worker")


class RunProcess:
    """Executes runs in this process, and interrupts one that is cancelled meanwhile."""

    def __init__(self, settings: Settings) -> None:
        self.engine: Engine = ready_engine(settings)
        self._runtime = process_runtime(settings, self.engine)
        self._instance = dg.DagsterInstance.get()
        self._lock = threading.Lock()
        self._run_id: str | None = None
        self._is_cancelled = False
        self._take_presence()

    def _take_presence(self) -> str:
        return process_worker(self._runtime, utc_now(), on_cancel=self._cancel)

    def run_to_end(self, run_id: str, execute: Callable[[], object]) -> None:
        """Executes a run and records its end, however it ends.

        Args:
            run_id: The run.
            execute: Dagster's own execution of it.
        """
        # Dagster installs its own SIGTERM handler for the run and does not restore ours.
        on_sigterm = signal.getsignal(signal.SIGTERM)
        structlog.contextvars.bind_contextvars(run=run_id)
        try:
            # Dagster defers an interrupt until it is ready for it.
            with capture_interrupts():
                self._hear_of(run_id)
                is_taken = self._take(run_id)
                if is_taken:
                    execute()
                self._see_to_end(run_id, is_taken=is_taken, is_cancelled=self._hear_of(None))
        except SQLAlchemyError as problem:
            # The database was away for too long to record the run's end. When this process ends, the run
            # counts as lost; otherwise it would stay running for ever.
            _log.error("the process ends, since its run can't be ended", run=run_id, why=str(problem)[:200])
            os._exit(1)
        finally:
            structlog.contextvars.clear_contextvars()
            signal.signal(signal.SIGTERM, on_sigterm)

    def _hear_of(self, run_id: str | None) -> bool:
        """Makes this run, or none, the one that can be cancelled; returns whether the previous one was cancelled."""
        with self._lock:
            was_cancelled, self._is_cancelled, self._run_id = self._is_cancelled, False, run_id
        return was_cancelled

    def _cancel(self, run_id: str) -> None:
        """Interrupts the run if it is executed here. Called on the cancellation listener's thread."""
        with self._lock:
            if run_id != self._run_id:
                return
            self._is_cancelled = True
            try:
                run = self._instance.get_run_by_id(run_id)
                if run is not None and not run.is_finished and run.status is not dg.DagsterRunStatus.CANCELING:
                    # The sync was cancelled, not the run; or the run's start overwrote its CANCELING status.
                    self._instance.report_run_canceling(run, "The sync was cancelled.")
            finally:
                main = threading.main_thread().ident
                assert main is not None  # noqa: S101 - it runs
                signal.pthread_kill(main, signal.SIGINT)

    def _take(self, run_id: str) -> bool:
        """Takes a run for this process; ``False`` if it must not be executed any more."""
        run = self._mark(run_id)
        if run is None:
            return False
        if run_tags.PARTITION in run.tags:
            structlog.contextvars.bind_contextvars(user=run.tags[run_tags.PARTITION])
        with self.engine.connect() as connection:
            reason = why_not_begun(connection, UUID(run_id), request_of(run))
        # Read again after it was marked: cancellations from now on reach this process.
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        if reason is not None:
            self._instance.report_run_canceling(run, reason)
        return reason is None and run.status is not dg.DagsterRunStatus.CANCELING

    def _mark(self, run_id: str) -> dg.DagsterRun | None:
        """Marks a run as this process's; ``None`` if it has ended, or another has marked it.

        Two messages may name one run, and arrive at the same time.
        """
        presence = self._take_presence()
        with self.engine.begin() as connection:
            lock_run(connection, run_id)
            run = self._instance.get_run_by_id(run_id)
            if run is not None and not run.is_finished and worker_of(run) is None:
                self._instance.add_run_tags(run_id, {run_tags.WORKER: presence})
                return run
        if run is not None and run.status is dg.DagsterRunStatus.CANCELED:
            cancel_sync(self.engine, run)
        _log.info("a run that has ended, or was taken before, is left", run=run_id)
        return None

    def _see_to_end(self, run_id: str, *, is_taken: bool, is_cancelled: bool) -> None:
        """Makes sure that the run has ended, as canceled if it was cancelled."""
        run = self._instance.get_run_by_id(run_id)
        if run is None:
            return
        if run.status is dg.DagsterRunStatus.CANCELING or (is_cancelled and run.status is dg.DagsterRunStatus.FAILURE):
            self._instance.report_run_canceled(run, "The run was cancelled.")
        elif is_taken and not run.is_finished:
            self._instance.report_run_failed(run, "The run came to its end without a word about how.")
        if is_taken and run.status is not dg.DagsterRunStatus.SUCCESS:
            close_unfinished(self._runtime, self._take_presence(), utc_now())


_process: RunProcess | None = None


def this_process() -> RunProcess:
    """The process object that ``enter_process`` made."""
    assert _process is not None  # noqa: S101 - no run is sent to a process that was not
    return _process


def enter_process(**_: object) -> None:
    """Makes a fresh fork ready for its first run."""
    global _process
    parent = os.getppid()
    take_place(current_process().index)
    # A process group of its own: signals from a terminal or runner reach the worker only, which passes them on.
    os.setpgid(0, 0)
    with suppress(OSError):
        # Celery has the kernel kill a process when the thread that forked it ends: in a pool, before its runs end.
        set_pdeathsig(0)
    threading.Thread(target=_end_with, args=(parent,), name="orphan", daemon=True).start()
    try:
        settings = load_settings()
        start_tracing(settings, "worker")
        _process = RunProcess(settings)
    except (OperatorError, SQLAlchemyError) as problem:
        _log.error("a process can't start", why=str(problem).splitlines()[0])
        time.sleep(_WATCH_SECONDS)  # else the next one would start, and fail, at once
        os._exit(1)


def leave_process(**_: object) -> None:
    """Ends this process's presence, when the process is replaced."""
    if _process is not None:
        with suppress(SQLAlchemyError):
            leave_worker(_process.engine)
    stop_tracing()


def _end_with(parent: int) -> None:
    """Ends this process when its worker was killed; the run in progress is lost like the worker."""
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)
