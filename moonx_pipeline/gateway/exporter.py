"""Exports the database's gauges from one gateway only: those of two would be added up."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from typing import Final

import structlog
from prometheus_client.metrics_core import Metric
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from moonx_pipeline.errors import OperatorError
from moonx_pipeline.metrics.gauges import AGE_BOUNDS, gauge, gauges, portfolio_ages
from moonx_pipeline.metrics.protection import breaker_labels
from moonx_pipeline.settings import Settings
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.monitoring.dagster_daemon import DagsterGauges, read_dagster
from moonx_pipeline.storage.monitoring.gauges import DatabaseGauges, becomes_exporter, read_gauges

_FEWEST_SECONDS: Final = 30.0
_STATES: Final = {"closed": 0, "half_open": 1, "open": 2}
_READING_MS: Final = 10_000
_log = structlog.get_logger("exporter")


class Exporter:
    """Reads gauges at an interval, in a thread, while this process holds the exporter's lock."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        """Reads nothing before ``start``."""
        self._engine = engine
        self._settings = settings
        self._interval = settings.monitoring.metrics_interval_ms / 1000
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="exporter", daemon=True)
        self._read: list[Metric] = []
        self._read_at = float("-inf")

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; the next gateway takes over when the connection is closed."""
        self._stop.set()

    def collect(self) -> Iterator[Metric]:
        """The last reading; nothing if it is too old, since no value is better than an outdated one."""
        if time.monotonic() - self._read_at < max(3 * self._interval, _FEWEST_SECONDS):
            yield from self._read

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with autocommit(self._engine) as connection:
                    # This connection stays, so it must not take a place in the pool; its lock ends with it.
                    connection.detach()
                    connection.exec_driver_sql(f"SET statement_timeout = {_READING_MS}")
                    self._serve(connection)
            except SQLAlchemyError as problem:
                _log.warning("gauges can't be read", why=str(problem).splitlines()[0])
            self._read = []
            self._stop.wait(self._interval)

    def _serve(self, connection: Connection) -> None:
        if not becomes_exporter(connection):
            return
        _log.info("exports the gauges of the database", every_s=self._interval)
        while not self._stop.is_set():
            began = time.monotonic()
            read = [*_of_database(self._gauges(connection), breaker_labels(self._settings.chains)), *self._of_dagster()]
            seconds = time.monotonic() - began
            quota = self._settings.monitoring.monthly_compute_units
            if quota is not None:
                read.append(gauge("provider_compute_units_quota", quota))
            self._read, self._read_at = [*read, gauge("database_gauges_read_seconds", seconds)], time.monotonic()
            self._stop.wait(max(0.0, self._interval - seconds))

    def _gauges(self, connection: Connection) -> DatabaseGauges:
        return read_gauges(connection, AGE_BOUNDS, has_broker=bool(self._settings.kafka.brokers))

    def _of_dagster(self) -> list[Metric]:
        try:
            found = read_dagster(self._settings)
        except (OperatorError, SQLAlchemyError):
            found = DagsterGauges(daemon_lives=False, event_log_bytes=0)
        read: list[Metric] = [gauge("dagster_daemon_up", found.daemon_lives)]
        if found.event_log_bytes:
            read.append(gauge("event_log_bytes", found.event_log_bytes))
        return read


def _of_database(found: DatabaseGauges, breakers: Iterable[str]) -> list[Metric]:
    states = dict.fromkeys(breakers, 0) | {breaker.key: _STATES[breaker.state] for breaker in found.breakers}
    not_closed = [breaker for breaker in found.breakers if breaker.state != "closed"]
    return [
        gauge("sync_requests_pending", found.requests),
        gauge("sync_requests_oldest_seconds", found.request_seconds),
        gauge("users_due", found.due),
        gauge("users_due_oldest_seconds", found.due_seconds),
        gauge("users_active", sum(found.ages)),
        portfolio_ages(found.ages, found.age_seconds),
        gauge("outbox_unpublished", found.events),
        gauge("outbox_oldest_seconds", found.event_seconds),
        gauges("circuit_breaker_state", ("key",), [((key,), state) for key, state in states.items()]),
        gauges(
            "circuit_breaker_open_seconds",
            ("key", "cause"),
            [((breaker.key, breaker.cause or "unknown"), breaker.seconds) for breaker in not_closed],
        ),
        gauges("rate_limit_blocked_seconds", ("limit",), [((key,), seconds) for key, seconds in found.blocks]),
        gauge("sync_processes_alive", found.processes),
        gauge("sync_paused", found.is_paused),
        gauge("database_bytes", found.bytes),
    ]
