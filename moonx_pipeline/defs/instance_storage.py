"""Dagster's own storage, on the database that the settings name, with one connection pool a process.

``dagster_postgres`` opens a connection for every statement it runs (its engines use ``NullPool``): a run of
nine ops opens more than a hundred, each a new server process. Here the run, event log and schedule
storages of a process share one small pool. A pool then needs three things: a rollback on return, so that
an error leaves no open transaction behind; recycling; and an engine of its own for a forked process.

A run writes some seventy events, one statement each, and then two more statements that the pool leaves out: a look
whether the connection still lives, and a notification of each event that nothing listens to.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import click
import psycopg2
from psycopg2.extensions import connection as PsycopgConnection  # noqa: N812 - the driver writes its class in lower case
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

from moonx_pipeline.defs.dagster_private import ConfigurableClassData
from moonx_pipeline.errors import OperatorError
from moonx_pipeline.loading import kept_for_good
from moonx_pipeline.settings import load_settings
from moonx_pipeline.storage.connection.engine import dagster_database_url
from moonx_pipeline.storage.connection.silence import KEEPALIVE

with kept_for_good():  # with all that Dagster has loaded before
    from dagster_postgres.storage import DagsterPostgresStorage

_CREATING_TABLES = 0x6D6F6F6E  # advisory lock: several processes may start on an empty database at once

_TRUSTED_SECONDS: Final = 0.2
"""A connection that was used so short a time ago is used again without a look."""

_HEARD_BY_NOBODY: Final = "NOTIFY run_events"
"""How the statement begins by which Dagster's storage still tells its older versions of each event."""

_LAST_USED: Final = "last_used"


@cache
def _process_engine(url: str, _process_id: int) -> Engine:
    engine = create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        pool_size=2,
        max_overflow=8,
        pool_recycle=600,
        pool_reset_on_return="rollback",
        hide_parameters=True,
        connect_args={"application_name": "moonx-dagster", **KEEPALIVE},
    )
    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", _look)
    event.listen(engine, "do_execute", _leave_out)
    return engine


def _note_use(_connection: object, entry: ConnectionPoolEntry) -> None:
    entry.info[_LAST_USED] = time.monotonic()


def _look(connection: PsycopgConnection, entry: ConnectionPoolEntry, _given: object) -> None:
    """Looks whether a connection that was idle still lives; if not, the pool makes new ones."""
    if time.monotonic() - entry.info.get(_LAST_USED, time.monotonic()) < _TRUSTED_SECONDS:
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except psycopg2.Error:
        raise InvalidatePoolError from None


def _leave_out(_cursor: object, statement: str, _parameters: object, _context: object) -> bool:
    """Whether a statement counts as executed already."""
    return statement.startswith(_HEARD_BY_NOBODY)


@cache
def _ensure_tables(engine: Engine, url: str) -> None:
    """Creates Dagster's missing tables; once a process, since each check opens six connections."""
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _CREATING_TABLES})
        try:
            DagsterPostgresStorage(postgres_url=url)
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _CREATING_TABLES})


class PooledStorage(DagsterPostgresStorage):
    """Dagster's PostgreSQL storage with one pool a process; named in ``dagster.yaml``, without config."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        try:
            url = dagster_database_url(load_settings())
        except OperatorError as problem:
            # Dagster's commands use click, which prints this error as one sentence without a trace.
            raise click.ClickException(str(problem)) from None
        engine = _process_engine(url, os.getpid())
        _ensure_tables(engine, url)
        super().__init__(postgres_url=url, should_autocreate_tables=False, inst_data=inst_data)
        for storage in (self._run_storage, self._event_log_storage, self._schedule_storage):
            storage._engine = engine

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> PooledStorage:
        return cls(inst_data=inst_data)
