"""Volumes that are full, and a table that can't grow, with PostgreSQL's own error of a full disk."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Engine


def fill_disk(engine: Engine, table: str) -> None:
    """Lets each insert into a table fail as if its disk had no space left."""
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING "
            "ERRCODE = '53100', MESSAGE = 'could not extend file \"base/5/16384\": No space left on device', "
            "HINT = 'Check free disk space.'; END $$"
        )
        connection.exec_driver_sql(
            f"CREATE TRIGGER no_space BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION no_space()"
        )


@contextmanager
def small_volume(megabytes: int, *, owner: int) -> Iterator[Path | None]:
    """A file system of its own for a user, until the block ends; ``None`` where this process may mount none."""
    folder = Path(tempfile.mkdtemp(prefix="moonx-volume-"))
    options = f"size={megabytes}m,uid={owner},mode=700"
    try:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, check=False
        )
    except FileNotFoundError:
        done = None
    is_mounted = done is not None and done.returncode == 0
    try:
        yield folder if is_mounted else None
    finally:
        if is_mounted:
            subprocess.run(["umount", "-l", folder], check=True)
        folder.rmdir()


def fill(volume: Path) -> Path:
    """Takes all the space that a file system has left; returns the file that holds it."""
    filler = volume / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(65536))
    return filler
