"""A worker's metrics and health, over all its processes; served by the main process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil
from celery.worker import state
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool

from moonx_pipeline.broker import ping
from moonx_pipeline.metrics.gauges import gauge
from moonx_pipeline.metrics.health import Check, Readiness
from moonx_pipeline.metrics.prefork import shared_registry
from moonx_pipeline.metrics.serving import serve
from moonx_pipeline.settings import Settings
from moonx_pipeline.storage.connection.engine import database_url, why_unusable
from moonx_pipeline.storage.connection.silence import KEEPALIVE

if TYPE_CHECKING:
    import socket


class Processes:
    """The processes that execute runs, as their main process sees them."""

    def __init__(self, pids: Callable[[], list[int]], wanted: int) -> None:
        """Takes a function that gives the process ids, and the configured number of processes."""
        self._pids = pids
        self._wanted = wanted

    def alive(self) -> list[psutil.Process]:
        """The processes that are alive."""
        found = []
        for pid in self._pids():
            with suppress(psutil.Error):
                process = psutil.Process(pid)
                if process.status() != psutil.STATUS_ZOMBIE:  # killed, not reaped yet
                    found.append(process)
        return found

    def why_unusable(self) -> str | None:
        """Why no run is taken; ``None`` while at least one process is alive (replacing one is no problem)."""
        if state.should_stop is not None:
            return "The worker is stopping: it takes no new runs."
        return None if self.alive() else f"None of its {self._wanted} processes lives."

    def collect(self) -> Iterator[Metric]:
        """Number of processes, runs in progress and memory, as metrics."""
        alive = self.alive()
        memory = 0
        for process in [psutil.Process(), *alive]:
            with suppress(psutil.Error):
                memory += process.memory_full_info().pss
        yield gauge("worker_processes", len(alive))
        yield gauge("worker_runs_under_way", len(state.active_requests))
        yield gauge("worker_memory_bytes", memory)


def unpooled_engine(settings: Settings) -> Engine:
    """An engine without a pool: forked processes must not inherit this process's connections."""
    return create_engine(
        database_url(settings),
        poolclass=NullPool,
        connect_args={"application_name": "moonx-health", **KEEPALIVE},
    )


def serve_worker(
    settings: Settings,
    listening: socket.socket,
    engine: Engine,
    processes: Processes,
    why_stalled: Callable[[], str | None],
) -> None:
    """Serves metrics and health from a thread, until the process ends.

    Args:
        settings: Which of the two to serve, and the broker to check.
        listening: The socket to serve on.
        engine: The database to check, without a pool.
        processes: The pool's processes.
        why_stalled: Why runs that wait are not taken, if so.
    """
    registry = shared_registry()
    registry.register(processes)
    ProcessCollector(registry=registry)
    readiness = Readiness(
        {
            "database": Check(True, lambda: why_unusable(engine)),
            "broker": Check(True, lambda: ping(settings)),
            "processes": Check(True, lambda: processes.why_unusable() or why_stalled()),
        }
    )
    serve(listening, settings.monitoring, registry=registry, readiness=readiness)
