"""Waits for PostgreSQL that end when it is silent, in every process and for every connection of SQLAlchemy.

The kernel breaks a connection whose other end acknowledges nothing (``KEEPALIVE``). It can't see what
acknowledges for a server that it has lost: a proxy, a load balancer, a forwarded port. Nor can a time limit tell such
a connection from a long statement. So after some seconds of silence a new connection asks the server whether it still
executes the statement. If it does not, and nothing arrives, the connection is lost: the statement fails as any whose
connection broke. It costs nothing while answers come.

The server may keep the session of a lost connection, with its locks, for as long as something acknowledges. So the
next connection that is made ends it.

psycopg2 calls ``_wait`` instead of blocking in libpq (its "green" mode), so Ctrl-C and time limits of runs interrupt a
statement, too. That mode knows no COPY.
"""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

import psycopg2
from psycopg2 import extensions as driver
from psycopg2.extensions import connection as PsycopgConnection  # noqa: N812 - the driver writes its class in lower case
from psycopg2.extensions import cursor as Cursor  # noqa: N812
from sqlalchemy import event
from sqlalchemy.pool import Pool

KEEPALIVE: Final = {
    "keepalives": 1,
    "keepalives_idle": 4,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""libpq's settings: a connection whose packets are dropped breaks within eleven seconds.

The first four cover a connection that waits: for an answer, a notification, or in the pool. The last covers one that
sent data nobody acknowledges: TCP alone repeats it for a quarter of an hour. Over a local socket they do nothing.
"""

SERVERS_KEEPALIVE: Final = (
    "-ctcp_keepalives_idle=6 -ctcp_keepalives_interval=3 -ctcp_keepalives_count=3 -ctcp_user_timeout=15000"
)
"""The same for the server, as options of a session: by its defaults it keeps a vanished client's locks for hours.

Later than the client's, so that a process that lives takes its locks again before others can.
"""

CONNECT_SECONDS: Final = 5.0
"""The longest time that connecting takes; libpq's own limit is not applied in this mode."""

SILENT_SECONDS: Final = 4.0
"""After this time without a byte the server is asked whether it still executes the statement."""

_LOOK_SECONDS: Final = 4.0
_ARRIVAL_SECONDS: Final = 1.0
"""How long an answer that the server says it has sent may still be on its way."""

_UNSURE_SECONDS: Final = 75.0
"""The longest silence while the server can't be asked but lives; longer than its own limit of a statement."""

_OPEN: Final = (driver.STATUS_READY, driver.STATUS_BEGIN, driver.STATUS_PREPARED)

_until: ContextVar[float | None] = ContextVar("answers_until", default=None)


class _Session(NamedTuple):
    """The server's side of a connection.

    Attributes:
        server: Host, port and user.
        pid: The process; a pooler would give its own number for it.
        began: When it began: process ids come again.
    """

    server: tuple[str, int, str]
    pid: int
    began: datetime


_sessions: WeakKeyDictionary[PsycopgConnection, _Session] = WeakKeyDictionary()
_given_up: dict[tuple[str, int, str], set[_Session]] = {}
"""Sessions of lost connections, by server."""


@contextmanager
def answers_within(seconds: float) -> Iterator[None]:
    """Within the block, connecting and each statement fail unless they end by this time.

    Raises:
        OperationalError: The time is over; the connection that waited is closed.
    """
    token = _until.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _until.reset(token)


def know(connection: PsycopgConnection) -> None:
    """Notes the server's session of a new connection, and ends those of connections that were lost."""
    info = connection.info
    server = (info.host, info.port, info.user)
    was, connection.autocommit = connection.autocommit, True
    with answers_within(CONNECT_SECONDS), connection.cursor() as cursor:
        cursor.execute("SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()")
        _sessions[connection] = _Session(server, *cursor.fetchone())  # type: ignore[misc]  # it has one row
        _end_given_up(cursor, server)
    connection.autocommit = was


def _end_given_up(cursor: Cursor, server: tuple[str, int, str]) -> None:
    for session in _given_up.pop(server, ()):
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE pid = %s AND backend_start = %s",
            (session.pid, session.began),
        )


def _wait(connection: PsycopgConnection) -> None:
    """Waits until a connection is made, or a statement has ended; psycopg2 closes the connection if this raises."""
    session = _sessions.get(connection)
    try:
        _wait_for_end(connection, session)
    except BaseException:  # such as the time limit of a run
        if session is not None:
            _given_up.setdefault(session.server, set()).add(session)
        raise


def _wait_for_end(connection: PsycopgConnection, session: _Session | None) -> None:
    until = _until.get()
    if until is None and connection.status not in _OPEN:
        until = time.monotonic() + CONNECT_SECONDS
    sure = time.monotonic()
    while (wanted := connection.poll()) != driver.POLL_OK:
        if until is not None:
            if not _is_ready(connection, wanted, until - time.monotonic()):
                raise psycopg2.OperationalError("timeout expired: the database did not answer in time")
        elif session is None:
            _is_ready(connection, wanted, None)
        elif _is_ready(connection, wanted, SILENT_SECONDS) or _still_executes(connection, wanted, session):
            sure = time.monotonic()
        elif time.monotonic() - sure > _UNSURE_SECONDS:
            raise psycopg2.OperationalError("timeout expired: the database did not answer, nor could it be asked why")


def _is_ready(connection: PsycopgConnection, wanted: int, seconds: float | None) -> bool:
    poller = select.poll()  # unlike select(), it takes any file descriptor
    poller.register(connection.fileno(), select.POLLIN if wanted == driver.POLL_READ else select.POLLOUT)
    return bool(poller.poll(None if seconds is None else max(0.0, seconds) * 1000))


_STATE: Final = """
SELECT state NOT LIKE 'idle%%' AND wait_event IS DISTINCT FROM 'ClientWrite'
FROM pg_stat_activity WHERE pid = %s AND backend_start = %s
"""


def _still_executes(connection: PsycopgConnection, wanted: int, session: _Session) -> bool:
    """Whether the server executes the statement, or its answer has arrived; ``False`` if it can't say.

    Raises:
        OperationalError: It does not: the connection is lost.
    """
    try:
        with answers_within(_LOOK_SECONDS), closing(_another(connection)) as other, other.cursor() as cursor:
            other.autocommit = True
            cursor.execute(_STATE, (session.pid, session.began))
            row = cursor.fetchone()
            if row is not None and row[0] is not False:
                return row[0] is True
            if _is_ready(connection, wanted, _ARRIVAL_SECONDS):
                return True
            _given_up.setdefault(session.server, set()).add(session)
            _end_given_up(cursor, session.server)
    except psycopg2.OperationalError as problem:
        if "FATAL" in str(problem):  # the server lives and refuses, as when it has no connection left
            return False
        raise psycopg2.OperationalError(
            f"timeout expired: the database was silent for {SILENT_SECONDS:.0f} s, also on a new connection"
        ) from None
    raise psycopg2.OperationalError(
        f"timeout expired: the connection was silent for {SILENT_SECONDS:.0f} s while the database lives: it was cut"
    )


def _another(connection: PsycopgConnection) -> PsycopgConnection:
    """A new connection to the same server."""
    info = connection.info
    parameters: dict[str, Any] = {**info.dsn_parameters, "host": info.host, "application_name": "moonx-look"}
    another: PsycopgConnection = psycopg2.connect(**parameters, password=info.password)
    return another


def _know_pooled(connection: object, _record: object) -> None:
    if isinstance(connection, PsycopgConnection):
        know(connection)


driver.set_wait_callback(_wait)
event.listen(Pool, "connect", _know_pooled)
