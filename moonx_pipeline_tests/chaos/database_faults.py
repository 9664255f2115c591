"""Faults of PostgreSQL that are more than a signal or a link."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psycopg2
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from moonx_pipeline.storage.connection.migrations import RECORD, SQL_FOLDER, migrate
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline_tests.chaos.rig import Rig
from moonx_pipeline_tests.support.database_proxy import database_socket
from moonx_pipeline_tests.support.full_disk import fill, fill_disk, small_volume
from moonx_pipeline_tests.support.standby import running_standby

if TYPE_CHECKING:
    from moonx_pipeline_tests.chaos.rounds import Chaos

_LINKS: Final = ("worker-database", "relay-database", "gateway-database", "dagster-database")
_GROWING: Final = ("user_token_holdings", "outbox_events", "sync_requests")
_NEXT: Final = "9999.chaos"
_HELD_SECONDS: Final = 6.0


@contextmanager
def connections_exhausted(chaos: Chaos) -> Iterator[None]:
    """Somebody else takes every connection that the database has left."""
    url = make_url(chaos.rig.url)
    taken = []
    with suppress(psycopg2.OperationalError):
        while True:
            taken.append(psycopg2.connect(host=url.query["host"], user="moonx_worker", dbname=url.database))
    try:
        yield
    finally:
        for connection in taken:
            connection.close()


@contextmanager
def deadlocks(chaos: Chaos) -> Iterator[None]:
    """A session locks holdings and then users, which syncs do the other way around, and syncs have to give way."""
    stopped, before = threading.Event(), _deadlocks(chaos.rig)

    def take() -> None:
        while not stopped.wait(0.3):
            with suppress(DBAPIError), chaos.rig.engine.begin() as connection:
                connection.exec_driver_sql("SET LOCAL deadlock_timeout = '1min'")
                connection.exec_driver_sql("SELECT 1 FROM user_token_holdings FOR UPDATE")
                stopped.wait(1)
                connection.exec_driver_sql("SELECT 1 FROM user_sync_status FOR UPDATE")

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
    assert _deadlocks(chaos.rig) > before, "No sync met the session that locks the other way around."


def _deadlocks(rig: Rig) -> int:
    ((count,),) = rig.rows("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    return int(count)


# Disks


@contextmanager
def disk_full(chaos: Chaos) -> Iterator[None]:
    """The volume of the tables that grow is full; where none can be mounted, PostgreSQL's own error says so."""
    with small_volume(64, owner=chaos.rig.postgres.owner) as volume:
        if volume is None:
            with _refusing(chaos.rig):
                yield
            return
        with autocommit(chaos.rig.engine) as connection:
            connection.exec_driver_sql(f"CREATE TABLESPACE small LOCATION '{volume}'")
        _move(chaos.rig, "small")
        filler = fill(volume)
        try:
            yield
        finally:
            filler.unlink()
            _move(chaos.rig, "pg_default")
            with autocommit(chaos.rig.engine) as connection:
                connection.exec_driver_sql("DROP TABLESPACE small")


def _move(rig: Rig, tablespace: str) -> None:
    for table in _GROWING:
        with rig.engine.begin() as connection:
            connection.exec_driver_sql(f"ALTER TABLE {table} SET TABLESPACE {tablespace}")


@contextmanager
def _refusing(rig: Rig) -> Iterator[None]:
    fill_disk(rig.engine, "user_token_holdings")
    try:
        yield
    finally:
        with rig.engine.begin() as connection:
            connection.exec_driver_sql("DROP FUNCTION no_space CASCADE")


# Changes of the server and of the schema


@contextmanager
def failover(chaos: Chaos) -> Iterator[None]:
    """The server dies, and a standby that has every commit takes its place, at another address; and back."""
    rig = chaos.rig
    with running_standby(rig.engine, rig.postgres.folder) as standby:
        rig.postgres.kill()
        standby.promote()
        for name in _LINKS:
            rig.links[name].lead_to(standby.socket)
        try:
            yield
        finally:
            standby.stop()
            shutil.rmtree(rig.postgres.folder)
            shutil.move(standby.folder, rig.postgres.folder)
            rig.postgres.restart()
            for name in _LINKS:
                rig.links[name].lead_to(database_socket(rig.url))


@contextmanager
def migration(chaos: Chaos) -> Iterator[None]:
    """The next version's migration changes tables that are used most, while somebody's transaction reads them."""
    engine = chaos.rig.engine
    with tempfile.TemporaryDirectory(prefix="moonx-sql-") as folder, ThreadPoolExecutor(1) as migrating:
        for file in SQL_FOLDER.glob("*.sql"):
            shutil.copy(file, folder)
        newest = max(path.stem for path in SQL_FOLDER.glob("*.sql"))
        (Path(folder) / f"{_NEXT}.sql").write_text(
            f"-- Runs with code from: {newest}\n"
            "ALTER TABLE user_sync_status ADD COLUMN chaos integer NOT NULL DEFAULT 0;\n"
            "ALTER TABLE outbox_events ADD COLUMN chaos integer;\n"
            "CREATE INDEX chaos ON sync_requests (created_at);\n"
        )
        with engine.begin() as reading:
            reading.exec_driver_sql("SELECT count(*) FROM user_sync_status, outbox_events")
            applied = migrating.submit(migrate, engine, Path(folder))
            time.sleep(_HELD_SECONDS)
        try:
            yield
            assert applied.result() == (_NEXT,)
        finally:
            with engine.begin() as connection:
                for change in (
                    "ALTER TABLE user_sync_status DROP COLUMN IF EXISTS chaos",
                    "ALTER TABLE outbox_events DROP COLUMN IF EXISTS chaos",
                    "DROP INDEX IF EXISTS chaos",
                    f"DELETE FROM {RECORD} WHERE migration_id = '{_NEXT}'",
                ):
                    connection.exec_driver_sql(change)
