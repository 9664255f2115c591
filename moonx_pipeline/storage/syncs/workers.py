"""Worker presence: each process that executes syncs holds an advisory lock by its id as long as it lives.

The lock ends with its connection, so it is free as soon as the process is dead, however it died, and there are no
heartbeats to write or to miss. It needs a session of its own: behind a pooler that shares sessions, set DATABASE_URL
to the server's own address.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Final, NamedTuple
from uuid import uuid4

import psutil
import psycopg2
from psycopg2.extensions import connection as PsycopgConnection  # noqa: N812 - the driver writes its class in lower case
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from moonx_pipeline.domain.events import SyncRef
from moonx_pipeline.storage.connection.notifications import PING_SECONDS
from moonx_pipeline.storage.connection.retries import autocommit

CANCEL_CHANNEL: Final = "moonx_cancel"
"""The channel of run ids to cancel."""

_RUN_LOCKS: Final = 0x72756E73  # class of the advisory locks of runs that are about to be taken
_PAUSE_SECONDS = 1.0


class WorkerPresence:
    """This process as others see it. It ends with the process, or with ``leave``."""

    def __init__(self, engine: Engine, on_cancel: Callable[[str], None] | None = None) -> None:
        """Takes the lock, on a driver connection kept for it.

        Args:
            engine: The pipeline's database.
            on_cancel: Given by a process that takes Dagster's runs: called, on a thread, with the id of each
                run to cancel, in whatever process it runs.
        """
        self.id = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self._engine = engine
        self._on_cancel = on_cancel
        self._guard = threading.RLock()
        self._left = False
        self._told: list[str] = []
        self._heard_at = 0.0
        self._connection = self._enter()
        if on_cancel is not None:
            threading.Thread(target=self._listen, args=(on_cancel,), name="cancellations", daemon=True).start()

    def _enter(self) -> PsycopgConnection:
        session = autocommit(self._engine)
        if self._on_cancel is not None:
            # Listens before it becomes visible: a process that sees it alive may notify it.
            session.exec_driver_sql(f"LISTEN {CANCEL_CHANNEL}")
        session.exec_driver_sql("SELECT pg_advisory_lock(worker_lock(%s))", (self.id,))
        session.exec_driver_sql(
            "INSERT INTO worker_processes (id, host, pid, takes_runs) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (self.id, socket.gethostname(), os.getpid(), self._on_cancel is not None),
        )
        connection: PsycopgConnection = session.connection.driver_connection  # type: ignore[assignment]
        session.detach()  # the pool opens another in its place
        self._heard_at = time.monotonic()
        return connection

    def _execute(self, statement: str, *parameters: object) -> None:
        with self._guard, self._connection.cursor() as cursor:
            cursor.execute(statement, parameters)

    def ensure(self) -> None:
        """Takes the lock again if its connection was cut; asks the server only once it was silent for a while."""
        with self._guard:
            if not self._left and not self._is_connected():
                self._connection.close()
                self._connection = self._enter()

    def _is_connected(self) -> bool:
        """Reads notifications, or the connection's end, that the server sent; returns whether it is connected.

        A connection that was cut without a word shows by an unanswered question alone.
        """
        try:
            while not self._connection.closed and select.select([self._connection], [], [], 0)[0]:
                self._connection.poll()
                if not self._take_in():
                    return False
            if not self._connection.closed and time.monotonic() - self._heard_at >= PING_SECONDS:
                self._execute("SELECT 1")
                self._heard_at = time.monotonic()
        except psycopg2.Error:
            return False
        return not self._connection.closed

    def _take_in(self) -> bool:
        """Takes over received notifications; returns whether there were any."""
        told = [notification.payload for notification in self._connection.notifies]
        self._connection.notifies.clear()
        self._told += told
        return bool(told)

    def _listen(self, on_cancel: Callable[[str], None]) -> None:
        hears = True
        while not self._left:
            try:
                self.ensure()
                hears = True
                with self._guard:
                    self._take_in()  # those received with the answer to a statement
                    told, self._told = self._told, []
                for run_id in told:
                    on_cancel(run_id)
                select.select([self._connection], [], [], PING_SECONDS)
            except (psycopg2.Error, SQLAlchemyError, ValueError, OSError) as problem:
                if hears and not self._left:
                    import structlog  # with all that it draws on, a tenth of every start

                    log = structlog.get_logger("worker")
                    log.warning("the database is away, cancelled runs go on", worker=self.id, why=str(problem)[:200])
                hears = False
                time.sleep(_PAUSE_SECONDS)

    def recovered(self, milliseconds: int) -> None:
        """Records how long it took to close what dead processes had left open."""
        self._execute("UPDATE worker_processes SET recovery_ms = %s WHERE id = %s", milliseconds, self.id)

    def leave(self) -> None:
        """Gives up the lock and its connection."""
        self._left = True
        self._execute("DELETE FROM worker_processes WHERE id = %s", self.id)
        self._connection.close()

    def left_to_parent(self) -> None:
        """Drops the parent's connection in a forked child, without telling the server.

        As long as a child held it, the parent's lock would outlive the parent.
        """
        if not self._connection.closed:
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, self._connection.fileno())
            os.close(nowhere)


class WorkerRow(NamedTuple):
    """A process that executes syncs, or did until it died."""

    id: str
    host: str
    pid: int
    started_at: datetime
    recovery_ms: int | None
    takes_runs: bool
    alive: bool


class LostOperation(NamedTuple):
    """A running sync whose process is dead or has lost it.

    Attributes:
        ref: The sync.
        worker_id: The process.
        run_id: The run that executed it.
    """

    ref: SyncRef
    worker_id: str
    run_id: str | None


_DEAD = """
SELECT w.id, w.host, w.pid, pg_postmaster_start_time() < now() - make_interval(secs => %(grace)s) AS server_settled
FROM worker_processes w
WHERE pg_try_advisory_xact_lock(worker_lock(w.id))
"""


def dead_workers(connection: Connection, *, grace_seconds: float) -> list[str]:
    """Processes that are surely dead. Their locks are held until the transaction ends, so that one process recovers
    them.

    A database that has just started has lost all locks, those of living processes included; they take theirs again
    at their next step. Until then a process is known to be dead only if it is of this host, where it can be looked
    for.

    Args:
        connection: Inside a transaction.
        grace_seconds: How long living processes may take to notice that the database was unavailable.
    """
    host = socket.gethostname()
    rows = connection.exec_driver_sql(_DEAD, {"grace": grace_seconds})
    return [row.id for row in rows if row.server_settled or (row.host == host and not _is_running(row.pid))]


def _is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE  # a zombie: killed, and not waited for
    except psutil.NoSuchProcess:
        return False


def lost_operations(
    connection: Connection, workers: Collection[str], *, longest_seconds: float | None = None
) -> list[LostOperation]:
    """Operations of dead workers, and operations too old to still be running.

    Args:
        connection: Any.
        workers: Dead processes.
        longest_seconds: No sync takes this long: one that began earlier, by the database's clock, was lost by its
            process, dead or not. ``None`` looks only for those of dead processes.
    """
    rows = connection.exec_driver_sql(
        "SELECT o.id, o.user_id, (SELECT wallet_address FROM user_wallets w WHERE w.user_id = o.user_id "
        "ORDER BY position LIMIT 1), o.trigger, o.started_at, o.retry_count, o.worker_id, o.dagster_run_id "
        "FROM sync_operations o WHERE (o.worker_id = ANY(%s) OR o.started_at < now() - make_interval(secs => %s)) "
        "AND o.status IN ('pending', 'running') ORDER BY o.id",
        (list(workers), longest_seconds),
    )
    return [LostOperation(SyncRef(*row[:6]), *row[6:]) for row in rows]


def cancel_run(connection: Connection, run_id: str) -> None:
    """Tells the process that executes a run to cancel it, once the transaction is committed."""
    connection.exec_driver_sql("SELECT pg_notify(%s, %s)", (CANCEL_CHANNEL, run_id))


def lock_run(connection: Connection, run_id: str) -> None:
    """Waits until no other process is about to take a run; the lock ends with the transaction."""
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (_RUN_LOCKS, run_id))


def known_workers(connection: Connection) -> frozenset[str]:
    """The ids of processes believed alive: the others have left, or were found dead."""
    return frozenset(connection.exec_driver_sql("SELECT id FROM worker_processes").scalars())


def forget_workers(connection: Connection, workers: Collection[str]) -> None:
    """Removes dead processes from the list."""
    connection.exec_driver_sql("DELETE FROM worker_processes WHERE id = ANY(%s)", (list(workers),))


def list_workers(connection: Connection) -> list[WorkerRow]:
    """All processes not yet found dead, with whether they hold their lock."""
    rows = connection.exec_driver_sql(
        "SELECT w.id, w.host, w.pid, w.started_at, w.recovery_ms, w.takes_runs, EXISTS (SELECT 1 FROM pg_locks l "
        "WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.database = (SELECT oid FROM pg_database "
        "WHERE datname = current_database()) AND (l.classid::bigint << 32) | l.objid::bigint = worker_lock(w.id)) "
        "FROM worker_processes w ORDER BY w.started_at, w.id"
    )
    return [WorkerRow(*row) for row in rows]
