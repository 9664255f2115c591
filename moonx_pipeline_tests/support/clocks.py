"""Real connections under a clock that the test sets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Engine

from moonx_pipeline.storage.connection.retries import autocommit

START = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Clock:
    """Several connections in autocommit mode that share one time."""

    def __init__(self, connections: list[Connection]) -> None:
        self._connections = connections
        self.now = START

    def __getitem__(self, number: int) -> Connection:
        """One of the connections, with its clock set."""
        connection = self._connections[number % len(self._connections)]
        connection.exec_driver_sql("SELECT set_config('moonx.clock', %s, false)", (self.now.isoformat(),))
        return connection

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@contextmanager
def connections(engine: Engine, count: int = 3) -> Iterator[Clock]:
    made = [autocommit(engine) for _ in range(count)]
    try:
        yield Clock(made)
    finally:
        for connection in made:
            connection.exec_driver_sql("RESET ALL")
            connection.close()
