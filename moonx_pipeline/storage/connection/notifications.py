"""Waits for the database's notifications (LISTEN, NOTIFY) instead of polling."""

from __future__ import annotations

import selectors
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from psycopg2 import Error as DriverError
from psycopg2.extensions import connection as PsycopgConnection  # noqa: N812 - the driver writes its class in lower case
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from moonx_pipeline.storage.connection.retries import autocommit

CONNECTION_ERRORS = (DBAPIError, DriverError)
"""The errors of an unavailable database: notifications are read by the driver itself, not by SQLAlchemy."""

PING_SECONDS: Final = 4.0
"""How often a session that only listens asks whether it is still connected: else it would never hear of its end."""


class Listener:
    """A database session that listens. Used by one thread at a time.

    Attributes:
        connection: The session, in autocommit mode, for the queries that follow a notification.
    """

    def __init__(self, engine: Engine, channel: str) -> None:
        """Connects and listens.

        Raises:
            DBAPIError: The database is unavailable.
        """
        self.connection: Connection = autocommit(engine)
        self._driver: PsycopgConnection = self.connection.connection.driver_connection  # type: ignore[assignment]
        # It lives as long as its reader, so it takes no place in the pool.
        self.connection.detach()
        self.connection.exec_driver_sql(f"LISTEN {channel}")
        # Not select(): in a process with a thousand sockets it can't wait for new file descriptors.
        self._ready = selectors.DefaultSelector()
        self._ready.register(self._driver, selectors.EVENT_READ)
        self._heard_at = time.monotonic()

    def wait(self, seconds: float) -> Sequence[str]:
        """The payloads that came since the last call; waits for the first of them.

        Raises:
            DBAPIError, DriverError: The connection broke, or was cut.
        """
        if not self._driver.notifies:
            self._ready.select(seconds)
            self._driver.poll()
        if self._driver.notifies:
            self._heard_at = time.monotonic()
        elif time.monotonic() - self._heard_at >= PING_SECONDS:
            self.connection.exec_driver_sql("SELECT 1")
            self._heard_at = time.monotonic()
        payloads = [notify.payload for notify in self._driver.notifies]
        self._driver.notifies.clear()
        return payloads

    def close(self) -> None:
        """Ends the session, unless it broke."""
        self._ready.close()
        with suppress(*CONNECTION_ERRORS):
            self.connection.close()
