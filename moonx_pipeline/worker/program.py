"""The worker as a program: forks its processes, hands runs to them, and stops gracefully."""

from __future__ import annotations

import gc
import os
import signal
import socket
import threading
import warnings
from contextlib import suppress
from types import FrameType
from typing import Any, Final

import dagster as dg
import structlog
from billiard.process import active_children
from celery.apps.worker import Worker
from celery.exceptions import SecurityWarning, WorkerLostError
from celery.signals import task_failure
from celery.worker import state
from celery.worker.request import Request
from sqlalchemy.exc import SQLAlchemyError
from tenacity import Retrying, TryAgain, stop_after_delay, wait_fixed

from moonx_pipeline.broker import QUEUE, uses_database
from moonx_pipeline.clock import utc_now
from moonx_pipeline.defs.lost_workers import LostWork, close_lost
from moonx_pipeline.defs.run_lines import write_runs_as_lines
from moonx_pipeline.errors import OperatorError
from moonx_pipeline.settings import Settings
from moonx_pipeline.storage.connection.engine import ready_engine
from moonx_pipeline.storage.syncs.workers import list_workers
from moonx_pipeline.sync.runtime import process_runtime
from moonx_pipeline.tracing import load_tracing
from moonx_pipeline.worker.app import worker_app
from moonx_pipeline.worker.monitoring import Processes, serve_worker, unpooled_engine
from moonx_pipeline.worker.stall import StallWatch
from moonx_pipeline.worker.warm_up import warm_up

_NOTICED_SECONDS: Final = 10.0
_ENDING_SECONDS: Final = 10.0
"""How long Celery may take to end once no run is under way any more."""

_log = structlog.get_logger("worker")


class WorkerProgram(Worker):  # type: ignore[misc]  # Celery has no types
    """Celery's worker with our log lines and our graceful stop."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._woken = threading.Event()
        self._draining: threading.Thread | None = None
        self._done = threading.Event()
        super().__init__(
            app=worker_app(settings),
            pool_cls="prefork",
            loglevel="WARNING",
            quiet=True,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        task_failure.connect(self._on_failure)

    def on_consumer_ready(self, consumer: Any) -> None:
        _log.info(
            "takes runs",
            broker="postgresql" if uses_database(self.settings) else "redis",
            queue=QUEUE,
            processes=self.concurrency,
        )

    def process_ids(self) -> list[int]:
        """The ids of the pool's processes; none before the pool has started."""
        pool = getattr(self, "pool", None)
        # Celery's pool is a wrapper around the real one, which exists once it is started.
        return [] if pool is None or pool._pool is None else list(pool.info["processes"])

    def _on_failure(self, exception: BaseException | None = None, **_: object) -> None:
        """Closes a lost process's run at once, without waiting for the daemon's sensor."""
        if isinstance(exception, WorkerLostError) and state.should_stop is None:
            try:
                self._close_lost()
            except (OperatorError, SQLAlchemyError) as problem:
                _log.warning("a run was lost and not closed yet", why=str(problem).splitlines()[0])

    def install_platform_tweaks(self, worker: Worker) -> None:
        for ending in (signal.SIGTERM, signal.SIGINT):
            signal.signal(ending, self._stop)

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        """First signal: takes no new runs and finishes those in progress. Second signal: stops at once."""
        if self._draining is not None:
            self._woken.set()
        else:
            self._begin_to_stop(0)

    def end_stalled(self) -> None:
        """Stops a worker whose main loop takes no runs any more, and may never return."""
        if self._draining is None:
            self._begin_to_stop(1)
            if not state.active_requests:
                self._woken.set()

    def _begin_to_stop(self, exit_code: int) -> None:
        # Set before the stop is visible: a second signal may arrive in the middle of this.
        self._draining = threading.Thread(target=self._see_to_end, args=(exit_code,), name="drain", daemon=True)
        state.should_stop = exit_code
        self._draining.start()

    def _see_to_end(self, exit_code: int) -> None:
        self._drain()
        if not self._done.wait(_ENDING_SECONDS):
            _log.error("the worker ends without its main loop, which does not return")
            os._exit(exit_code or 1)  # its processes notice, and end

    def start(self) -> None:
        super().start()
        self._done.set()
        self._woken.set()
        if self._draining is not None:
            self._draining.join()  # it may be about to log what it handed back

    def _process_task(self, request: Request) -> None:
        if state.should_stop is not None:
            request.reject(requeue=True)  # it arrived while this worker was stopping; another worker takes it
            return
        super()._process_task(request)

    def _drain(self) -> None:
        """Gives runs in progress their time to end, and hands back those that did not."""
        seconds = self.settings.worker.shutdown_timeout_ms / 1000
        _log.info("stops", runs_under_way=len(state.active_requests), finish_within_s=seconds)
        self._woken.wait(seconds)
        if self._done.is_set() or not state.active_requests:
            return  # an idle pool ends by itself; one whose idle processes are killed never does
        try:
            runs, syncs = self._hand_back()
        except (OperatorError, SQLAlchemyError, TryAgain) as problem:
            _log.error("the next process that starts closes what was not done", why=str(problem).splitlines()[0])
        else:
            _log.warning("handed back what was not done", runs=runs, syncs=syncs)

    def _hand_back(self) -> tuple[list[str], int]:
        """Ends the processes, their runs and their syncs; returns the runs and the number of syncs."""
        pids = [process.pid for process in active_children()]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        runs: list[str] = []
        syncs = 0
        for attempt in Retrying(stop=stop_after_delay(_NOTICED_SECONDS), wait=wait_fixed(0.1), reraise=True):
            with attempt:
                lost = self._close_lost()
                runs += lost.runs
                syncs += len(lost.recovery.operations)
                with ready_engine(self.settings).connect() as connection:
                    known = {(worker.host, worker.pid) for worker in list_workers(connection)}
                # The database notices a moment later that the processes are gone.
                if known & {(socket.gethostname(), pid) for pid in pids}:
                    raise TryAgain
        return runs, syncs

    def _close_lost(self) -> LostWork:
        engine = ready_engine(self.settings)
        with dg.DagsterInstance.get() as instance:
            return close_lost(process_runtime(self.settings, engine), instance, utc_now())


def run_worker(settings: Settings, listening: socket.socket | None) -> int:
    """Runs a worker until it is stopped.

    Args:
        settings: The number of processes and the broker.
        listening: The socket for metrics and health; ``None`` serves none.

    Returns:
        Its exit code.
    """
    # Celery warns root about messages that are code; ours are JSON, and a container has no other user.
    warnings.simplefilter("ignore", SecurityWarning)
    warm_up()
    load_tracing(settings)
    write_runs_as_lines()
    program = WorkerProgram(settings)
    processes, engine = Processes(program.process_ids, settings.worker.concurrency), unpooled_engine(settings)
    stall = StallWatch(settings, engine, processes, program.end_stalled)
    if listening is not None:
        serve_worker(settings, listening, engine, processes, stall.why_stalled)
    stall.start()
    gc.collect()
    gc.freeze()  # the collector never touches what exists now, so the processes keep sharing it
    program.start()
    return int(program.exitcode or 0)
