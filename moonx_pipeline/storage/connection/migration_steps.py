"""The steps of migrations, by yoyo: those that a database lacks are applied in order, each in its own transaction."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final

import psycopg2
from psycopg2.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import Engine
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random
from yoyo import read_migrations
from yoyo.backends.core.postgresql import PostgresqlBackend
from yoyo.connections import parse_uri

from moonx_pipeline.errors import OperatorError
from moonx_pipeline.storage.connection.migrations import RECORD, runs_with
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.connection.silence import KEEPALIVE, know

# Who waits for a table lets nobody pass who comes later: not for long, then all of them before the next try. It is also
# less than the second after which the server looks for a deadlock, so a migration gives way, never a sync.
_LOCK_WAIT: Final = "500ms"
TRIES_SECONDS: Final = 120


class _Backend(PostgresqlBackend):  # type: ignore[misc]  # yoyo has no types
    """yoyo on the database of an SQLAlchemy engine, without its lock.

    Its lock is a row that a killed process leaves behind; ours is an advisory lock, held around the whole migration.
    """

    engine: Engine

    def connect(self, _dburi: Any) -> Any:
        arguments, options = self.engine.dialect.create_connect_args(self.engine.url)
        connection = psycopg2.connect(*arguments, **{**options, **KEEPALIVE})
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = %s", (_LOCK_WAIT,))
        know(connection)
        return connection

    def lock(self, timeout: float = 10) -> AbstractContextManager[None]:
        return nullcontext()

    def mark_one(self, migration: Any, log: bool = True) -> None:
        """Records a migration with what it declares, in one transaction."""
        super().mark_one(migration, log)
        self.execute(
            f"UPDATE {RECORD} SET runs_with = :runs_with WHERE migration_id = :id",  # noqa: S608 - a constant
            {"id": migration.id, "runs_with": runs_with(Path(migration.path))},
        )


def _backend(engine: Engine) -> _Backend:
    bound = type("_BoundBackend", (_Backend,), {"engine": engine})  # yoyo copies its backend by class
    backend: _Backend = bound(parse_uri("postgresql:///"), RECORD)
    return backend


def apply_missing(engine: Engine, folder: Path) -> None:
    """Applies the migrations of a folder that the database lacks; the caller holds the lock of migrations.

    Raises:
        OperatorError: Somebody has used a table for two minutes; what was applied before stays applied.
    """
    # Syncs of the version before go on meanwhile: a migration that meets one is rolled back and tried again.
    tries = Retrying(
        retry=retry_if_exception_type((DeadlockDetected, LockNotAvailable)),
        stop=stop_after_delay(TRIES_SECONDS),
        wait=wait_random(0.2, 2),
        reraise=True,
    )
    try:
        tries(_apply_missing, engine, folder)
    except LockNotAvailable:
        raise OperatorError(
            "A migration could not change a table that somebody uses without a pause. End what has been under way for "
            "long (SELECT pid, query FROM pg_stat_activity ORDER BY xact_start), and run 'moonx migrate' again."
        ) from None


def _apply_missing(engine: Engine, folder: Path) -> None:
    backend = _backend(engine)
    try:
        missing = backend.to_apply(read_migrations(str(folder)))  # creates its record if there is none
        with autocommit(engine) as connection:
            connection.exec_driver_sql(f"ALTER TABLE {RECORD} ADD COLUMN IF NOT EXISTS runs_with text")
        backend.apply_migrations(missing)
    finally:
        backend.connection.close()
