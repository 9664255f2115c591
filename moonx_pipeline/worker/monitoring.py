"""A worker's metrics and health: those of all its processes, served by the main one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil
from celery.worker import state
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from moonx_pipeline.broker import ping
from moonx_pipeline.metrics.gauges import gauge
from moonx_pipeline.metrics.health import Check, Readiness
from moonx_pipeline.metrics.prefork import shared_registry
from moonx_pipeline.metrics.serving import serve
from moonx_pipeline.settings import Settings
from moonx_pipeline.storage.connection.engine import KEEPALIVE, database_url, why_unusable

if TYPE_CHECKING:
    import socket


class Processes:
    """The processes that carry runs, as their main process sees them."""

    def __init__(self, pids: Callable[[], list[int]], wanted: int) -> None:
        """Takes how to ask for their ids, and how many there are to be."""
        self._pids = pids
        self._wanted = wanted

    def alive(self) -> list[psutil.Process]:
        """Those that live."""
        found = []
        for pid in self._pids():
            with suppress(psutil.Error):
                process = psutil.Process(pid)
                if process.status() != psutil.STATUS_ZOMBIE:  # killed, and not waited for yet
                    found.append(process)
        return found

    def why_unusable(self) -> str | None:
        """Why no run is taken; one that is being replaced is missed by nobody."""
        if state.should_stop is not None:
            return "The worker is stopping: it takes no new runs."
        return None if self.alive() else f"None of its {self._wanted} processes lives."

    def collect(self) -> Iterator[Metric]:
        """As metrics."""
        alive = self.alive()
        memory = 0
        for process in [psutil.Process(), *alive]:
            with suppress(psutil.Error):
                memory += process.memory_full_info().pss
        yield gauge("worker_processes", len(alive))
        yield gauge("worker_runs_under_way", len(state.active_requests))
        yield gauge("worker_memory_bytes", memory)


def serve_worker(settings: Settings, listening: socket.socket, processes: Processes) -> None:
    """Serves them from now on, in a thread.

    Args:
        settings: Which of them, and what the worker stands on.
        listening: Where.
        processes: Of the pool.
    """
    registry = shared_registry()
    registry.register(processes)
    ProcessCollector(registry=registry)
    # Without a pool: what this process has connected to is not to be found in those that it forks.
    engine = create_engine(
        database_url(settings),
        poolclass=NullPool,
        connect_args={"application_name": "moonx-health", "connect_timeout": 2, **KEEPALIVE},
    )
    readiness = Readiness(
        {
            "database": Check(True, lambda: why_unusable(engine)),
            "broker": Check(True, lambda: ping(settings)),
            "processes": Check(True, processes.why_unusable),
        }
    )
    serve(listening, settings.monitoring, registry=registry, readiness=readiness)
