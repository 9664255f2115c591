"""The schema: numbered plain-SQL migrations, applied once each, in order, under a lock.

A migration may say in its first line which older code runs with it::

    -- Runs with code from: 0012.webhooks

That is all code that has the named migration. The database keeps the line, so that code older than a migration
knows: processes of the previous version restart while the new one comes up, and after a rollback.
"""

from __future__ import annotations

import enum
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine

import moonx_pipeline
from moonx_pipeline.errors import OperatorError
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.tokens.registry import seed_registry

_MIGRATION_LOCK = 0x6D6F6F6E5F736368
RECORD: Final = "schema_migrations"
_DECLARATION = re.compile(r"-- Runs with code from: (\S+)")
_PACKAGE = Path(moonx_pipeline.__file__).parent
_INSTALLED = _PACKAGE / "sql"
_CHECKOUT = _PACKAGE.parent / "sql"
WAIT_SECONDS: Final = 180
"""How long to wait for another process that migrates; it may itself wait two minutes for a table."""

_LOOK_SECONDS: Final = 0.2
SQL_FOLDER = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT


class SchemaStanding(enum.Enum):
    """How a database's schema compares to this version's."""

    EMPTY = "empty"  # no migration is applied
    CURRENT = "current"
    OLDER = "older"  # some migrations are not applied yet
    AHEAD = "ahead"  # it has migrations that this version does not know but runs with
    NEWER = "newer"  # it has migrations that this version can't run with


class SchemaState(NamedTuple):
    """The comparison, and the migrations that make the difference."""

    standing: SchemaStanding
    difference: tuple[str, ...]


def known_migrations(folder: Path = SQL_FOLDER) -> tuple[str, ...]:
    """The ids of this version's migrations, in order."""
    return tuple(sorted(path.stem for path in folder.glob("*.sql")))


def runs_with(migration: Path) -> str | None:
    """The oldest migration whose code runs with this one; ``None`` if code must know this one."""
    with migration.open() as text:
        declared = _DECLARATION.match(text.readline())
    return declared[1] if declared else None


def schema_state(connection: Connection, folder: Path = SQL_FOLDER) -> SchemaState:
    """Compares the database's schema to this version's, in one or two quick queries."""
    if connection.exec_driver_sql("SELECT to_regclass(%s)", (RECORD,)).scalar() is None:
        return SchemaState(SchemaStanding.EMPTY, known_migrations(folder))
    # Read as JSON, since databases of older versions have no such column.
    rows = connection.exec_driver_sql(f"SELECT migration_id, to_jsonb(m) ->> 'runs_with' FROM {RECORD} m")  # noqa: S608
    return standing_of({row[0]: row[1] for row in rows}, folder)


def standing_of(applied: Mapping[str, str | None], folder: Path = SQL_FOLDER) -> SchemaState:
    """Compares a schema to this version's.

    Args:
        applied: Its migrations, each with what it declares to run with.
        folder: This version's migrations.
    """
    known = known_migrations(folder)
    unknown = tuple(sorted(applied.keys() - set(known)))
    pending = tuple(name for name in known if name not in applied)
    if unknown:
        runs = not pending and all(applied[name] in known for name in unknown)
        return SchemaState(SchemaStanding.AHEAD if runs else SchemaStanding.NEWER, unknown)
    if pending:
        return SchemaState(SchemaStanding.EMPTY if not applied else SchemaStanding.OLDER, pending)
    return SchemaState(SchemaStanding.CURRENT, ())


def migrate(engine: Engine, folder: Path = SQL_FOLDER) -> tuple[str, ...]:
    """Applies the missing migrations, each in its own transaction; safe from several processes at once.

    Then loads this version's token lists if the database has others.

    Returns:
        The ids of the applied migrations; empty if the schema is current, or newer and this version runs with it.

    Raises:
        OperatorError: The database is newer than this version can run with, or another process migrates for long.
    """
    with autocommit(engine) as connection, _alone(connection):
        state = schema_state(connection, folder)
        if state.standing is SchemaStanding.NEWER:
            raise OperatorError(_newer(state))
        if state.standing in (SchemaStanding.EMPTY, SchemaStanding.OLDER):
            # yoyo takes a twentieth of a start, and few starts migrate.
            from moonx_pipeline.storage.connection.migration_steps import apply_missing

            apply_missing(engine, folder)
        for schema in ("dagster", "celery"):
            connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        if connection.exec_driver_sql("SELECT to_regproc('ensure_history_partitions')").scalar():
            connection.exec_driver_sql("SELECT ensure_history_partitions()")
        if state.standing is not SchemaStanding.AHEAD:  # else its lists are newer, too
            _load_shipped_lists(engine)
        return () if state.standing is SchemaStanding.AHEAD else state.difference


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Holds the lock of migrations; ``connection`` commits each statement.

    It asks again and again: a statement that waits would be ended by the session's own limits, long before the other
    process is.
    """
    end = time.monotonic() + WAIT_SECONDS
    while not connection.exec_driver_sql("SELECT pg_try_advisory_lock(%s)", (_MIGRATION_LOCK,)).scalar_one():
        if time.monotonic() > end:
            raise OperatorError(
                f"Another process has migrated this database for more than {WAIT_SECONDS} s. Wait until it ends, and "
                "run 'moonx migrate' again."
            )
        time.sleep(_LOOK_SECONDS)
    try:
        yield
    finally:
        connection.exec_driver_sql("SELECT pg_advisory_unlock(%s)", (_MIGRATION_LOCK,))


def _load_shipped_lists(engine: Engine) -> None:
    with engine.begin() as connection:
        if connection.exec_driver_sql("SELECT to_regclass('token_registry_entries')").scalar():
            seed_registry(connection)


def ensure_schema(engine: Engine, *, is_embedded: bool, folder: Path = SQL_FOLDER) -> None:
    """Ensures that the schema is this version's, or one that this version runs with.

    An empty database is set up, and the embedded one is migrated. Operators migrate their own databases themselves.

    Raises:
        OperatorError: The schema is older than this version needs, or newer than it can run with.
    """
    with autocommit(engine) as connection:
        state = schema_state(connection, folder)
        if state.standing is SchemaStanding.OLDER:
            # Another process may be setting it up: look again once it is done.
            with _alone(connection):
                state = schema_state(connection, folder)
    if state.standing is SchemaStanding.NEWER:
        raise OperatorError(_newer(state))
    if state.standing is SchemaStanding.OLDER and not is_embedded:
        raise OperatorError(
            f"The database's schema is older than this version: {', '.join(state.difference)} "
            f"{'is' if len(state.difference) == 1 else 'are'} missing. Run 'moonx migrate'."
        )
    if state.standing in (SchemaStanding.EMPTY, SchemaStanding.OLDER):
        migrate(engine, folder)
        return
    if state.standing is SchemaStanding.CURRENT and is_embedded:
        _load_shipped_lists(engine)  # a version may bring newer lists without a migration
    with engine.begin() as connection:
        # Partitions of the coming months. Other processes that migrate or start now make them, too; one is enough.
        # A part that may not make tables leaves them to workers.
        connection.exec_driver_sql(
            "SELECT ensure_history_partitions() "
            "WHERE has_schema_privilege('public', 'CREATE') AND pg_try_advisory_xact_lock(%s)",
            (_MIGRATION_LOCK,),
        )


def _newer(state: SchemaState) -> str:
    return (
        "The database's schema is newer than this version of moonx can run with: it does not know "
        f"{', '.join(state.difference)}. Install the version that made it, or a later one. Nothing was changed."
    )
