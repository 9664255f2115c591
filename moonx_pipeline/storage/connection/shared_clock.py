"""The database's clock decides over everybody's rows: due times, leases, ends. Each new connection compares it."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import Final

from psycopg2.extensions import connection as PsycopgConnection  # noqa: N812 - the driver writes its class in lower case
from sqlalchemy import Engine, event

from moonx_pipeline.clock import CLOSE_ENOUGH, set_shared

_SAID_AGAIN: Final = timedelta(minutes=1)
"""A clock that is wrong by this much more or less than before is said again."""

_log = logging.getLogger("database")
_said = timedelta(0)


def follow_clock(engine: Engine) -> None:
    """Lets the process use the clock of an engine's database where its own is wrong."""
    event.listen(engine, "connect", _compare)


def _compare(connection: PsycopgConnection, _record: object) -> None:
    was, connection.autocommit = connection.autocommit, True
    asked = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()  # type: ignore[misc]  # it has one row
    connection.autocommit = was
    _say(set_shared(now, uncertainty=timedelta(seconds=time.monotonic() - asked)))


def _say(ahead: timedelta) -> None:
    global _said
    if abs(ahead - _said) < _SAID_AGAIN and bool(ahead) == bool(_said):
        return
    _said = ahead
    if abs(ahead) > CLOSE_ENOUGH:
        _log.warning(
            "This host's clock is %.0f s %s the database's, which is used instead: set the host's clock.",
            abs(ahead.total_seconds()),
            "ahead of" if ahead > timedelta(0) else "behind",
        )
