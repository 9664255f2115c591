"""The schema: from nothing, from every earlier version, by several processes at once."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from moonx_pipeline.errors import OperatorError
from moonx_pipeline.storage.connection import migration_steps, migrations
from moonx_pipeline.storage.connection.engine import open_engine
from moonx_pipeline.storage.connection.migrations import (
    SQL_FOLDER,
    SchemaStanding,
    ensure_schema,
    known_migrations,
    migrate,
    schema_state,
)
from moonx_pipeline_tests.fixtures.dagster import eventually

pytestmark = pytest.mark.slow

VERSIONS = known_migrations()

_SHAPE = """
SELECT 'column', table_name || '.' || column_name, data_type || coalesce(column_default, '') || is_nullable
FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'schema_migrations'
UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT 'constraint', conrelid::regclass::text || '.' || conname, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL SELECT 'function', proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT 'view', viewname, definition FROM pg_views WHERE schemaname = 'public'
ORDER BY 1, 2, 3
"""


@pytest.fixture
def empty(empty_database_url: str):
    engine = open_engine(empty_database_url)
    yield engine
    engine.dispose()


def shape(engine: Engine):
    with engine.connect() as connection:
        return connection.exec_driver_sql(_SHAPE).all()


def standing(engine: Engine) -> SchemaStanding:
    with engine.connect() as connection:
        return schema_state(connection).standing


def test_an_empty_database_is_set_up_at_its_first_use(empty: Engine) -> None:
    assert standing(empty) is SchemaStanding.EMPTY

    ensure_schema(empty, is_embedded=False)

    assert standing(empty) is SchemaStanding.CURRENT
    assert migrate(empty) == ()


@pytest.mark.parametrize("version", range(1, len(VERSIONS)))
def test_every_earlier_version_leads_to_the_same_schema(
    empty: Engine, engine: Engine, tmp_path: Path, version: int
) -> None:
    for name in VERSIONS[:version]:
        shutil.copy(SQL_FOLDER / f"{name}.sql", tmp_path)
    migrate(empty, tmp_path)
    assert standing(empty) is SchemaStanding.OLDER

    assert migrate(empty) == VERSIONS[version:]

    assert shape(empty) == shape(engine)


def test_an_older_schema_of_the_operators_own_is_migrated_only_when_he_says_so(empty: Engine, tmp_path: Path) -> None:
    shutil.copy(SQL_FOLDER / f"{VERSIONS[0]}.sql", tmp_path)
    migrate(empty, tmp_path)

    with pytest.raises(OperatorError, match="Run 'moonx migrate'"):
        ensure_schema(empty, is_embedded=False)
    assert standing(empty) is SchemaStanding.OLDER

    ensure_schema(empty, is_embedded=True)
    assert standing(empty) is SchemaStanding.CURRENT


def test_a_schema_newer_than_the_code_is_refused_and_left_alone(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO schema_migrations (migration_hash, migration_id, applied_at_utc) "
            "VALUES ('x', '9999.later', now())"
        )

    for attempt in (lambda: ensure_schema(engine, is_embedded=True), lambda: migrate(engine)):
        with pytest.raises(OperatorError, match="does not know 9999"):
            attempt()


def test_a_migration_that_fails_leaves_nothing_of_itself(empty: Engine, tmp_path: Path) -> None:
    (tmp_path / "0001.bad.sql").write_text("CREATE TABLE half (id int);\nCREATE TABLE half (id int);\n")

    with pytest.raises(Exception, match="half"):
        migrate(empty, tmp_path)

    with empty.connect() as connection:
        assert connection.exec_driver_sql("SELECT to_regclass('half')").scalar() is None
        assert schema_state(connection, tmp_path).difference == ("0001.bad",)


def test_several_processes_may_start_on_an_empty_database_at_once(empty: Engine, empty_database_url: str) -> None:
    code = (
        "from moonx_pipeline.settings import load_settings\n"
        "from moonx_pipeline.storage.connection.engine import ready_engine\n"
        "ready_engine(load_settings())\n"
    )
    environment = {**os.environ, "DATABASE_URL": empty_database_url}
    processes = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]

    assert [process.communicate(timeout=60)[1] for process in processes] == [""] * 4
    assert standing(empty) is SchemaStanding.CURRENT


def test_a_migration_that_waits_for_a_table_holds_up_nobody(empty: Engine, tmp_path: Path) -> None:
    """As when a sync of the version before, or somebody's query, takes its time."""
    (tmp_path / "0001.table.sql").write_text("CREATE TABLE used ();")
    migrate(empty, tmp_path)
    (tmp_path / "0002.column.sql").write_text("ALTER TABLE used ADD COLUMN n int;")

    with empty.connect() as other, empty.connect() as later, ThreadPoolExecutor(1) as pool:
        other.exec_driver_sql("LOCK TABLE used IN ROW EXCLUSIVE MODE")
        migrating = pool.submit(migrate, empty, tmp_path)
        eventually(lambda: waits_for(empty, "used"))
        later.exec_driver_sql("SET statement_timeout = '5s'")
        later.exec_driver_sql("SELECT FROM used")
        later.commit()
        other.commit()
        assert migrating.result(30) == ("0002.column",)

    assert schema_state_of(empty, tmp_path) is SchemaStanding.CURRENT


def test_a_table_that_is_never_free_is_told_in_a_sentence(
    empty: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration_steps, "TRIES_SECONDS", 1)
    (tmp_path / "0001.table.sql").write_text("CREATE TABLE used ();")
    migrate(empty, tmp_path)
    (tmp_path / "0002.column.sql").write_text("ALTER TABLE used ADD COLUMN n int;")

    with empty.connect() as other:
        other.exec_driver_sql("LOCK TABLE used IN ROW EXCLUSIVE MODE")
        with pytest.raises(OperatorError, match="somebody uses without a pause"):
            migrate(empty, tmp_path)

    assert schema_state_of(empty, tmp_path) is SchemaStanding.OLDER


@contextmanager
def another_migrates(engine: Engine) -> Iterator[None]:
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (migrations._MIGRATION_LOCK,))
        yield


@pytest.mark.parametrize("begin", [migrate, partial(ensure_schema, is_embedded=False)], ids=["migrate", "start"])
def test_who_comes_second_waits_longer_than_a_session_for_a_lock(
    empty: Engine, empty_database_url: str, begin: Callable[[Engine], object]
) -> None:
    """The first may itself wait two minutes for a table."""
    second = open_engine(empty_database_url)
    event.listen(second, "connect", lambda connection, _: connection.cursor().execute("SET lock_timeout = '50ms'"))
    with ThreadPoolExecutor(1) as pool:
        with another_migrates(empty):
            waiting = pool.submit(begin, second)
            with pytest.raises(TimeoutError):
                waiting.result(0.5)
        waiting.result(60)
    second.dispose()

    assert standing(empty) is SchemaStanding.CURRENT


def test_a_migration_of_another_that_does_not_end_is_told_in_a_sentence(
    empty: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "WAIT_SECONDS", 0.3)

    with another_migrates(empty), pytest.raises(OperatorError, match="Another process has migrated this database"):
        migrate(empty)


def waits_for(engine: Engine, table: str) -> None:
    with engine.connect() as connection:
        query = "SELECT count(*) FROM pg_locks WHERE relation = %s::regclass AND NOT granted"
        assert connection.exec_driver_sql(query, (table,)).scalar_one()


def schema_state_of(engine: Engine, folder: Path) -> SchemaStanding:
    with engine.connect() as connection:
        return schema_state(connection, folder).standing
