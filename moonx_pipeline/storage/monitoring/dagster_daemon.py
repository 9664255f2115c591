"""Reads Dagster's state from its own tables, without importing Dagster, which takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from sqlalchemy import Connection

from moonx_pipeline.settings import Settings
from moonx_pipeline.storage.connection.engine import dagster_database_url, open_engine, reach

_BEATS_WITHIN_SECONDS: Final = 90
"""The daemon beats every 30 seconds."""


class DagsterGauges(NamedTuple):
    """Dagster's state for the metrics.

    Attributes:
        daemon_lives: Whether its daemon has beaten lately.
        event_log_bytes: Size of its event log with indexes; 0 before there is one.
    """

    daemon_lives: bool
    event_log_bytes: int


def daemon_lives(settings: Settings) -> bool:
    """Whether Dagster's daemon has beaten lately.

    Raises:
        OperatorError: Dagster's database can't be reached.
    """
    with _connected(settings) as connection:
        return _beats(connection)


def read_dagster(settings: Settings) -> DagsterGauges:
    """Reads Dagster's state for the metrics.

    Raises:
        OperatorError: Dagster's database can't be reached.
    """
    with _connected(settings) as connection:
        size = connection.exec_driver_sql("SELECT coalesce(pg_total_relation_size(to_regclass('event_logs')), 0)")
        return DagsterGauges(_beats(connection), size.scalar_one())


@contextmanager
def _connected(settings: Settings) -> Iterator[Connection]:
    engine = open_engine(dagster_database_url(settings), connections=1)
    try:
        reach(engine, wait_seconds=0)
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _beats(connection: Connection) -> bool:
    if connection.exec_driver_sql("SELECT to_regclass('daemon_heartbeats')").scalar() is None:
        return False
    # The column is a time without a zone; the epoch in the body needs none.
    beats: bool = connection.exec_driver_sql(
        "SELECT coalesce(max((body::json->>'timestamp')::float8) > extract(epoch FROM now()) - %s, false) "
        "FROM daemon_heartbeats",
        (_BEATS_WITHIN_SECONDS,),
    ).scalar_one()
    return beats
