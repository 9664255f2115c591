"""The schema: numbered plain-SQL migrations, applied in order, once, under a lock.

A migration may say in its first line which code runs with it beside its own::

    -- Runs with code from: 0012.webhooks

That is all code that has this other migration. The database keeps the line, so that code which is older than a
migration knows: processes of the version before start again while the new one comes up, and after it was taken back.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final, NamedTuple

import psycopg2
from sqlalchemy import Connection, Engine
from yoyo import read_migrations
from yoyo.backends.core.postgresql import PostgresqlBackend
from yoyo.connections import parse_uri

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
SQL_FOLDER = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT


class SchemaStanding(enum.Enum):
    """How a database's schema stands to this version's."""

    EMPTY = "empty"  # none of it is there
    CURRENT = "current"
    OLDER = "older"  # some migrations are not applied yet
    AHEAD = "ahead"  # it has migrations that this version does not know and runs with
    NEWER = "newer"  # it has migrations that this version can't run with


class SchemaState(NamedTuple):
    """The standing, and the migrations that make the difference."""

    standing: SchemaStanding
    difference: tuple[str, ...]


class _Backend(PostgresqlBackend):  # type: ignore[misc]  # yoyo has no types
    """yoyo on the database of an SQLAlchemy engine, without its lock.

    Its lock is a row that a killed process leaves behind; ours is an advisory one, held around it all.
    """

    engine: Engine

    def connect(self, _dburi: Any) -> Any:
        arguments, options = self.engine.dialect.create_connect_args(self.engine.url)
        connection = psycopg2.connect(*arguments, **options)
        connection.autocommit = True
        return connection

    def lock(self, timeout: float = 10) -> AbstractContextManager[None]:
        return nullcontext()

    def mark_one(self, migration: Any, log: bool = True) -> None:
        """Notes a migration with what it declares, in one transaction."""
        super().mark_one(migration, log)
        self.execute(
            f"UPDATE {RECORD} SET runs_with = :runs_with WHERE migration_id = :id",  # noqa: S608 - a constant
            {"id": migration.id, "runs_with": runs_with(Path(migration.path))},
        )


def _backend(engine: Engine) -> _Backend:
    bound = type("_BoundBackend", (_Backend,), {"engine": engine})  # yoyo makes copies of its backend by class
    backend: _Backend = bound(parse_uri("postgresql:///"), RECORD)
    return backend


def known_migrations(folder: Path = SQL_FOLDER) -> tuple[str, ...]:
    """Ids of this version's migrations, in order."""
    return tuple(sorted(path.stem for path in folder.glob("*.sql")))


def runs_with(migration: Path) -> str | None:
    """The migration from which on code runs with this one; ``None`` where it must know this very one."""
    with migration.open() as text:
        declared = _DECLARATION.match(text.readline())
    return declared[1] if declared else None


def schema_state(connection: Connection, folder: Path = SQL_FOLDER) -> SchemaState:
    """How the database's schema stands to this version's; one or two quick queries."""
    if connection.exec_driver_sql("SELECT to_regclass(%s)", (RECORD,)).scalar() is None:
        return SchemaState(SchemaStanding.EMPTY, known_migrations(folder))
    # Through JSON, since a database of a version before this rule has no such column.
    rows = connection.exec_driver_sql(f"SELECT migration_id, to_jsonb(m) ->> 'runs_with' FROM {RECORD} m")  # noqa: S608
    return standing_of({row[0]: row[1] for row in rows}, folder)


def standing_of(applied: Mapping[str, str | None], folder: Path = SQL_FOLDER) -> SchemaState:
    """How a schema stands to this version's.

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
    """Applies what is missing, each migration in a transaction of its own; safe from several processes at once.

    Then the token lists of this version are loaded, where the database has others.

    Returns:
        The ids of what was applied; none where the schema is current, or newer and this version runs with it.

    Raises:
        OperatorError: The database is newer than this version can run with.
    """
    with autocommit(engine) as connection:
        connection.exec_driver_sql("SELECT pg_advisory_lock(%s)", (_MIGRATION_LOCK,))
        try:
            state = schema_state(connection, folder)
            if state.standing is SchemaStanding.NEWER:
                raise OperatorError(_newer(state))
            if state.standing in (SchemaStanding.EMPTY, SchemaStanding.OLDER):
                backend = _backend(engine)
                missing = backend.to_apply(read_migrations(str(folder)))  # makes its record, where there is none
                connection.exec_driver_sql(f"ALTER TABLE {RECORD} ADD COLUMN IF NOT EXISTS runs_with text")
                backend.apply_migrations(missing)
                backend.connection.close()
            for schema in ("dagster", "celery"):
                connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            if connection.exec_driver_sql("SELECT to_regproc('ensure_history_partitions')").scalar():
                connection.exec_driver_sql("SELECT ensure_history_partitions()")
            if state.standing is not SchemaStanding.AHEAD:  # else its lists are newer, too
                _load_shipped_lists(engine)
        finally:
            connection.exec_driver_sql("SELECT pg_advisory_unlock(%s)", (_MIGRATION_LOCK,))
        return () if state.standing is SchemaStanding.AHEAD else state.difference


def _load_shipped_lists(engine: Engine) -> None:
    with engine.begin() as connection:
        if connection.exec_driver_sql("SELECT to_regclass('token_registry_entries')").scalar():
            seed_registry(connection)


def ensure_schema(engine: Engine, *, is_embedded: bool, folder: Path = SQL_FOLDER) -> None:
    """Sees to it that the schema is this version's, or one that it runs with.

    An empty database is set up, and the embedded one is brought up to date. A database of the operator's own
    is migrated when he says so.

    Raises:
        OperatorError: The schema is older than this version needs, or newer than it can run with.
    """
    with engine.connect() as connection:
        state = schema_state(connection, folder)
        if state.standing is SchemaStanding.OLDER:
            # Another process may be in the middle of setting it up: look again once it is done.
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))
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
        _load_shipped_lists(engine)  # a version may bring newer lists and no migration
    with engine.begin() as connection:
        # Of the months to come: whoever migrates or starts at this moment makes them, too, and one is enough.
        connection.exec_driver_sql(
            "SELECT ensure_history_partitions() WHERE pg_try_advisory_xact_lock(%s)", (_MIGRATION_LOCK,)
        )


def _newer(state: SchemaState) -> str:
    return (
        "The database's schema is newer than this version of moonx can run with: it does not know "
        f"{', '.join(state.difference)}. Install the version that made it, or a later one. Nothing was changed."
    )
