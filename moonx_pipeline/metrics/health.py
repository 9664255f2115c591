"""Health checks of a process's dependencies; each runs by itself, so none delays another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import structlog
from prometheus_client.metrics_core import Metric

from moonx_pipeline.metrics.gauges import gauges

_SECONDS: Final = 2.0
"""A dependency that does not answer within this time counts as away."""

_KEPT_SECONDS: Final = 1.0
"""How long a result is reused, so that requests cost the dependencies next to nothing."""

_log = structlog.get_logger("health")


class Check(NamedTuple):
    """How a dependency is checked.

    Attributes:
        needed: Whether the process is not ready without it.
        look: Returns what is wrong, or ``None``. It may hang.
    """

    needed: bool
    look: Callable[[], str | None]


class _Part:
    """A dependency, checked by one thread at a time, however long that takes."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._ended = threading.Event()
        self._ended.set()
        self._began = 0.0
        self._error: str | None = None
        self._seconds = 0.0

    def begin(self) -> None:
        """Starts a check, unless the last one has not returned."""
        if self._ended.is_set():
            self._ended.clear()
            self._began = time.perf_counter()
            # A daemon thread: the process does not wait for it when it ends.
            threading.Thread(target=self._look, name="health", daemon=True).start()

    def _look(self) -> None:
        try:
            self._error = self._check.look()
        except Exception as problem:
            self._error = f"It can't be looked at ({type(problem).__name__})."
        self._seconds = time.perf_counter() - self._began
        self._ended.set()

    def found(self, until: float) -> dict[str, Any]:
        """The result, waited for until a time of ``time.monotonic()``."""
        if self._ended.wait(max(0.0, until - time.monotonic())):
            error, seconds = self._error, self._seconds
        else:
            seconds = time.perf_counter() - self._began
            error = f"It has not answered for {seconds:.0f} s."
        return {
            "ok": error is None,
            "needed": self._check.needed,
            "latencyMs": round(seconds * 1000, 1),
            "error": error,
        }


class Readiness:
    """The content of ``GET /health/ready``. Used by many threads."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        """Checks nothing before ``read``."""
        self._parts = {name: _Part(check) for name, check in checks.items()}
        self._lock = threading.Lock()
        self._found: dict[str, dict[str, Any]] = {}
        self._found_at = float("-inf")

    def read(self) -> dict[str, Any]:
        """``status`` and ``dependencies``, within two seconds."""
        with self._lock:
            if time.monotonic() - self._found_at > _KEPT_SECONDS:
                self._note(self._look())
                self._found_at = time.monotonic()
            found = self._found
        ready = all(part["ok"] for part in found.values() if part["needed"])
        return {"status": "ready" if ready else "not_ready", "dependencies": found}

    def _look(self) -> dict[str, dict[str, Any]]:
        for part in self._parts.values():
            part.begin()
        until = time.monotonic() + _SECONDS
        return {name: part.found(until) for name, part in self._parts.items()}

    def _note(self, found: dict[str, dict[str, Any]]) -> None:
        """Records the results, and logs what has changed."""
        for name, part in found.items():
            was_ok = self._found.get(name, {"ok": True})["ok"]
            if was_ok and not part["ok"]:
                _log.warning("dependency is away", dependency=name, needed=part["needed"], why=part["error"])
            elif part["ok"] and not was_ok:
                _log.info("dependency is back", dependency=name)
        self._found = found

    def watch(self, interval_seconds: float) -> None:
        """Also checks at an interval while the process lives, so a loss is logged even if nobody asks."""

        def look() -> None:
            while True:
                time.sleep(interval_seconds)  # first, since the process is still starting
                self.read()

        threading.Thread(target=look, name="health-watch", daemon=True).start()

    def collect(self) -> Iterator[Metric]:
        """The last results as a metric."""
        found = self._found
        yield gauges("dependency_up", ("dependency",), [((name,), float(part["ok"])) for name, part in found.items()])
