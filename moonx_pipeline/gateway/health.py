"""The gateway's health: whether it lives, and whether its dependencies answer."""

from __future__ import annotations

import asyncio
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from sqlalchemy.exc import SQLAlchemyError

from moonx_pipeline.errors import OperatorError
from moonx_pipeline.gateway.callers import Gateway
from moonx_pipeline.metrics.health import Check, Readiness
from moonx_pipeline.storage.connection.engine import health_engine, why_unusable
from moonx_pipeline.storage.monitoring.dagster_daemon import daemon_lives
from moonx_pipeline.storage.syncs.workers import list_workers

_SECONDS: Final = 2.0


class Health:
    """Checks the gateway's dependencies."""

    def __init__(self, gateway: Gateway) -> None:
        """Checks nothing before ``read``."""
        self._gateway = gateway
        engine = health_engine(gateway.engine)
        checks = {
            "database": Check(True, lambda: why_unusable(engine)),
            "events": Check(True, lambda: gateway.live.health()[1]),
            "workers": Check(False, self._workers),
            "daemon": Check(False, self._daemon),
        }
        if gateway.settings.service.graphql_url:
            checks["dagster"] = Check(False, self._dagster)
        self.readiness = Readiness(checks)
        self._asking = asyncio.Lock()

    async def read(self) -> dict[str, Any]:
        """``status`` and ``dependencies``, as ``GET /health/ready`` answers them."""
        async with self._asking:  # waiting callers take no thread
            return await asyncio.to_thread(self.readiness.read)

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
