"""A standby of a PostgreSQL server, which has every commit and can take its place."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg2
from sqlalchemy import Engine

from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline_tests.fixtures.dagster import eventually


class Standby:
    """A server that follows another.

    Attributes:
        folder: Its data.
        socket: The path of its socket.
    """

    def __init__(self, primary: Path, place: Path) -> None:
        """Copies the primary's data; ``primary`` is its folder, with its socket, ``place`` an empty folder."""
        owner = primary.stat()
        self._as: dict[str, Any] = {"user": owner.st_uid, "group": owner.st_gid} if os.getuid() == 0 else {}
        os.chown(place, owner.st_uid, owner.st_gid)
        running = psutil.Process(int((primary / "postmaster.pid").read_text().split()[0]))
        self._programs = Path(running.exe()).parent
        self._address = (primary / "postmaster.pid").read_text().splitlines()[4]
        self._place, self.folder = place, place / "data"
        self.socket = f"{place}/.s.PGSQL.5432"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Copies the primary's data, and follows it."""
        copy = [self._programs / "pg_basebackup", "-h", self._address, "-U", "postgres", "-D", self.folder]
        done = subprocess.run(
            [*copy, "-R", "-c", "fast"], capture_output=True, text=True, check=False, cwd="/", **self._as
        )
        assert done.returncode == 0, done.stderr
        self._process = subprocess.Popen(
            [self._programs / "postgres", "-D", self.folder, "-h", "", "-k", self._place],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
            **self._as,
        )

    def promote(self) -> None:
        """Makes it a server of its own."""
        connection = psycopg2.connect(host=str(self._place), user="postgres", dbname="postgres")
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_promote(true, 30)")
            assert cursor.fetchone() == (True,)
        connection.close()

    def stop(self) -> None:
        """Ends its sessions and stops it in order."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(20)
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def running_standby(engine: Engine, primary: Path) -> Iterator[Standby]:
    """A standby that has each commit before it is acknowledged, until the block ends."""
    place = Path(tempfile.mkdtemp(prefix="moonx-standby-"))
    standby = Standby(primary, place)
    try:
        standby.start()
        eventually(lambda: _assert_follows(engine, "async"), seconds=30)
        with autocommit(engine) as connection:
            connection.exec_driver_sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.exec_driver_sql("SELECT pg_reload_conf()")
        eventually(lambda: _assert_follows(engine, "sync"), seconds=30)
        yield standby
    finally:
        standby.stop()
        shutil.rmtree(place, ignore_errors=True)


def _assert_follows(engine: Engine, how: str) -> None:
    with engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'")
        assert found.scalars().all() == [how]
