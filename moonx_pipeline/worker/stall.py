"""Proves by work that a worker takes runs: one that takes none although some wait says so, and ends.

A consumer can stop consuming while its process lives and its broker answers (``app.RunRequest`` mends one way of
Celery's to do so). No look at processes or broker shows that; a run that is taken does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

import structlog
from celery.worker import state
from kombu.exceptions import OperationalError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from moonx_pipeline.broker import waiting_runs
from moonx_pipeline.errors import OperatorError
from moonx_pipeline.settings import Settings
from moonx_pipeline.storage.connection.engine import why_unusable
from moonx_pipeline.worker.monitoring import Processes

_NOTICED_SECONDS: Final = 15.0
_ENDS_SECONDS: Final = 45.0
"""Longer than Celery's longest pause, 30 s, between two tries to reach a broker that was away."""

_LOOK_SECONDS: Final = 3.0

_log = structlog.get_logger("worker")


class StallWatch:
    """Watches whether this worker takes runs while some wait and one of its processes is free."""

    def __init__(self, settings: Settings, engine: Engine, processes: Processes, end: Callable[[], None]) -> None:
        """Takes the broker's settings, the database, the pool's processes, and what ends a worker that is stalled."""
        self._settings = settings
        self._engine = engine
        self._processes = processes
        self._end = end
        self._taken = -1
        self._since = time.monotonic()

    def why_stalled(self) -> str | None:
        """Why this worker counts as stalled; ``None`` while it takes what waits, or nothing waits."""
        seconds = time.monotonic() - self._since
        if seconds < _NOTICED_SECONDS:
            return None
        return f"Runs wait and a process is free, but it has taken none for {seconds:.0f} s."

    def start(self) -> None:
        """Watches on a thread, until the worker stops."""
        threading.Thread(target=self._watch, name="stall-watch", daemon=True).start()

    def _watch(self) -> None:
        while state.should_stop is None:
            time.sleep(_LOOK_SECONDS)
            taken = state.all_total_count[0]
            if taken != self._taken or not self._could_take():
                self._taken, self._since = taken, time.monotonic()
            elif time.monotonic() - self._since >= _ENDS_SECONDS and why_unusable(self._engine) is None:
                _log.error("the worker ends, since it takes no runs: start it again", why=self.why_stalled())
                self._end()
                return

    def _could_take(self) -> bool:
        if len(self._processes.alive()) <= len(state.active_requests):
            return False
        try:
            return bool(waiting_runs(self._settings))
        except (OperationalError, OperatorError, SQLAlchemyError):
            return False
