"""The schema: numbered plain-SQL migrations, applied in order, once, under a lock."""

from __future__ import annotations

import enum
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import psycopg2
from sqlalchemy import Connection, Engine
from yoyo import read_migrations
from yoyo.backends.core.postgresql import PostgresqlBackend
from yoyo.connections import parse_uri

from moonx_pipeline.errors import OperatorError

_MIGRATION_LOCK = 0x6D6F6F6E5F736368
_RECORD = "schema_migrations"
_INSTALLED = Path(__file__).parent.parent / "sql"
_CHECKOUT = Path(__file__).parent.parent.parent / "sql"
SQL_FOLDER = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT


class SchemaStanding(enum.Enum):
    """How a database's schema stands to this version's."""

    EMPTY = "empty"  # none of it is there
    CURRENT = "current"
    OLDER = "older"  # some migrations are not applied yet
    NEWER = "newer"  # it has migrations that this version does not know


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


def _backend(engine: Engine) -> _Backend:
    bound = type("_BoundBackend", (_Backend,), {"engine": engine})  # yoyo makes copies of its backend by class
    backend: _Backend = bound(parse_uri("postgresql:///"), _RECORD)
    return backend


def known_migrations(folder: Path = SQL_FOLDER) -> tuple[str, ...]:
    """Ids of this version's migrations, in order."""
    return tuple(sorted(path.stem for path in folder.glob("*.sql")))


def schema_state(connection: Connection, folder: Path = SQL_FOLDER) -> SchemaState:
    """How the database's schema stands to this version's; one or two quick queries."""
    known = known_migrations(folder)
    if connection.exec_driver_sql("SELECT to_regclass(%s)", (_RECORD,)).scalar() is None:
        return SchemaState(SchemaStanding.EMPTY, known)
    applied = set(connection.exec_driver_sql(f"SELECT migration_id FROM {_RECORD}").scalars())  # noqa: S608 - a constant
    unknown = tuple(sorted(applied.difference(known)))
    pending = tuple(name for name in known if name not in applied)
    if unknown:
        return SchemaState(SchemaStanding.NEWER, unknown)
    if pending:
        return SchemaState(SchemaStanding.EMPTY if not applied else SchemaStanding.OLDER, pending)
    return SchemaState(SchemaStanding.CURRENT, ())


def migrate(engine: Engine, folder: Path = SQL_FOLDER) -> tuple[str, ...]:
    """Applies what is missing, each migration in a transaction of its own; safe from several processes at once.

    Returns:
        The ids of what was applied.

    Raises:
        OperatorError: The database is newer than this version.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("SELECT pg_advisory_lock(%s)", (_MIGRATION_LOCK,))
        try:
            state = schema_state(connection, folder)
            if state.standing is SchemaStanding.NEWER:
                raise OperatorError(_newer(state))
            if state.difference:
                backend = _backend(engine)
                backend.apply_migrations(backend.to_apply(read_migrations(str(folder))))
                backend.connection.close()
            for schema in ("dagster", "celery"):
                connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            if connection.exec_driver_sql("SELECT to_regproc('ensure_history_partitions')").scalar():
                connection.exec_driver_sql("SELECT ensure_history_partitions()")
        finally:
            connection.exec_driver_sql("SELECT pg_advisory_unlock(%s)", (_MIGRATION_LOCK,))
    return state.difference


def ensure_schema(engine: Engine, *, is_embedded: bool, folder: Path = SQL_FOLDER) -> None:
    """Sees to it that the schema is this version's.

    An empty database is set up, and the embedded one is brought up to date. A database of the operator's own
    is migrated when he says so.

    Raises:
        OperatorError: The schema is older or newer than this version needs.
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
    if state.standing is not SchemaStanding.CURRENT:
        migrate(engine, folder)
        return
    with engine.begin() as connection:  # of the months to come
        connection.exec_driver_sql("SELECT ensure_history_partitions()")


def _newer(state: SchemaState) -> str:
    return (
        "The database's schema is newer than this version of moonx, which does not know "
        f"{', '.join(state.difference)}. Install the version that made it, or a later one. Nothing was changed."
    )
