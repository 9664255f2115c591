"""Whether the gateway lives, and whether what it stands on answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import requests
from sqlalchemy.exc import SQLAlchemyError

from moonx_pipeline.errors import OperatorError
from moonx_pipeline.gateway.callers import Gateway
from moonx_pipeline.storage.daemon import daemon_lives
from moonx_pipeline.storage.workers import list_workers

_SECONDS: Final = 2.0
"""A part that does not answer within it counts as away."""

_KEPT_SECONDS: Final = 1.0
"""Whoever asks within it is told what was found last: asking costs the parts next to nothing."""


class _Check(NamedTuple):
    needed: bool
    look: Callable[[], str | None]
    """Gives what is wrong, or nothing."""


class Health:
    """Looks at the parts, each in its own time, in threads that nothing else uses."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._threads = ThreadPoolExecutor(8, "health")
        self._lock = asyncio.Lock()
        self._found: dict[str, dict[str, Any]] = {}
        self._found_at = float("-inf")
        self._checks = {
            "database": _Check(True, self._database),
            "events": _Check(True, self._events),
            "workers": _Check(False, self._workers),
            "daemon": _Check(False, self._daemon),
        }
        if gateway.settings.service.graphql_url:
            self._checks["dagster"] = _Check(False, self._dagster)

    async def read(self) -> dict[str, Any]:
        """``status`` and ``dependencies``, as ``GET /health/ready`` answers them."""
        async with self._lock:
            if time.monotonic() - self._found_at > _KEPT_SECONDS:
                looks = await asyncio.gather(*(self._look(check) for check in self._checks.values()))
                self._found = dict(zip(self._checks, looks, strict=True))
                self._found_at = time.monotonic()
        ready = all(part["ok"] for part in self._found.values() if part["needed"])
        return {"status": "ready" if ready else "not_ready", "dependencies": self._found}

    async def _look(self, check: _Check) -> dict[str, Any]:
        started = time.perf_counter()
        try:
            looking = asyncio.get_running_loop().run_in_executor(self._threads, check.look)
            error = await asyncio.wait_for(looking, _SECONDS)
        except TimeoutError:
            error = f"It did not answer within {_SECONDS:g} s."
        latency = round((time.perf_counter() - started) * 1000, 1)
        return {"ok": error is None, "needed": check.needed, "latencyMs": latency, "error": error}

    def _database(self) -> str | None:
        try:
            with self._gateway.engine.connect() as connection:
                connection.exec_driver_sql("SELECT 1")
        except SQLAlchemyError:
            return "The database can't be used."
        return None

    def _events(self) -> str | None:
        return self._gateway.live.health()[1]

    def _workers(self) -> str | None:
        try:
            with self._gateway.engine.connect() as connection:
                alive = any(worker.alive and worker.takes_runs for worker in list_workers(connection))
        except SQLAlchemyError:
            return "The database can't be used."
        return None if alive else "No worker is alive: syncs that are asked for wait."

    def _daemon(self) -> str | None:
        try:
            lives = daemon_lives(self._gateway.settings)
        except (OperatorError, SQLAlchemyError):
            return "Dagster's database can't be used."
        return None if lives else "Dagster's daemon does not beat: no schedule or sensor goes on."

    def _dagster(self) -> str | None:
        address = urlsplit(self._gateway.settings.service.graphql_url or "")
        try:
            requests.get(f"{address.scheme}://{address.netloc}/server_info", timeout=_SECONDS).raise_for_status()
        except requests.RequestException as problem:
            return f"Dagster's webserver can't be asked ({type(problem).__name__}): runs start by the sensor."
        return None
