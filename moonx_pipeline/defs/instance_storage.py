"""Dagster's own storage, on the database that the settings name, with one connection pool a process.

``dagster_postgres`` opens a connection for every statement it runs (its engines use ``NullPool``): a run of
nine ops opens more than a hundred, each a new server process. Here the run, event log and schedule
storages of a process share one small pool. A pool then needs three things: a rollback on return, so that
an error leaves no open transaction behind; recycling; and an engine of its own for a forked process.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

import click
from dagster_postgres.storage import DagsterPostgresStorage
from sqlalchemy import Engine, create_engine, text

from moonx_pipeline.defs.dagster_private import ConfigurableClassData
from moonx_pipeline.errors import OperatorError
from moonx_pipeline.settings import load_settings
from moonx_pipeline.storage.connection.engine import dagster_database_url
from moonx_pipeline.storage.connection.silence import KEEPALIVE

_CREATING_TABLES = 0x6D6F6F6E  # advisory lock: several processes may start on an empty database at once


@cache
def _process_engine(url: str, _process_id: int) -> Engine:
    return create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        pool_size=2,
        max_overflow=8,
        pool_recycle=600,
        pool_pre_ping=True,
        pool_reset_on_return="rollback",
        hide_parameters=True,
        connect_args={"application_name": "moonx-dagster", **KEEPALIVE},
    )


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
