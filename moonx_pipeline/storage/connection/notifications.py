"""Waiting for notifications of the database (LISTEN, NOTIFY) instead of asking all the time."""

from __future__ import annotations

import selectors
from collections.abc import Sequence
from contextlib import suppress

from psycopg2 import Error as DriverError
from psycopg2.extensions import connection as PsycopgConnection  # noqa: N812 - the driver writes its class in lower case
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from moonx_pipeline.storage.connection.retries import autocommit

CONNECTION_ERRORS = (DBAPIError, DriverError)
"""What tells that the database is away: a notification is read from the driver itself, not by SQLAlchemy."""


class Listener:
    """A session of its own that listens. Used by one thread at a time.

    Attributes:
        connection: The session, in autocommit mode, for what a notification makes its reader ask.
    """

    def __init__(self, engine: Engine, channel: str) -> None:
        """Connects and listens.

        Raises:
            DBAPIError: The database is away.
        """
        self.connection: Connection = autocommit(engine)
        self._driver: PsycopgConnection = self.connection.connection.driver_connection  # type: ignore[assignment]
        # It stays for as long as its reader lives, so it takes none of the places of those who come and go.
        self.connection.detach()
        self.connection.exec_driver_sql(f"LISTEN {channel}")
        # Not select(): in a process with a thousand sockets it can't wait for the file descriptors of new ones.
        self._ready = selectors.DefaultSelector()
        self._ready.register(self._driver, selectors.EVENT_READ)

    def wait(self, seconds: float) -> Sequence[str]:
        """The payloads that came since the last time; waits for the first of them.

        Raises:
            DriverError: The connection broke.
        """
        if not self._driver.notifies:
            self._ready.select(seconds)
            self._driver.poll()
        payloads = [notify.payload for notify in self._driver.notifies]
        self._driver.notifies.clear()
        return payloads

    def close(self) -> None:
        """Ends the session; one that broke has ended already."""
        self._ready.close()
        with suppress(*CONNECTION_ERRORS):
            self.connection.close()
