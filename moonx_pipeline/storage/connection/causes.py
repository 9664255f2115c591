"""What PostgreSQL or its driver says when it can't be used, and what to do about it: one table."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import psycopg2
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout


class Cause(NamedTuple):
    """A row of the table.

    Attributes:
        said: A pattern in the text of the error.
        meaning: What it means and what to do.
        passes: Whether it may be over in a moment, so that it is worth waiting.
    """

    said: str
    meaning: str
    passes: bool = False


CAUSES: Final = (
    Cause(
        "password authentication failed",
        "it refuses the user or the password: check DATABASE_URL, or DB_USER and DB_PASSWORD",
    ),
    Cause("no password supplied", "it wants a password: put it into DATABASE_URL, or set DB_PASSWORD"),
    Cause("no pg_hba.conf entry", "it does not let this user in from here: ask its administrator, or set DB_SSL=true"),
    # Before the roles, which PostgreSQL names in these, too.
    Cause(
        "remaining connection slots are reserved|too many clients|too many connections for",
        "it has no connection left: end what holds them, raise its max_connections, or lower DB_MAX_CONNECTIONS",
        passes=True,
    ),
    Cause("No space left on device", "its disk is full: free space there, then what failed can be repeated"),
    Cause(
        "permission denied for|must be owner of",
        "its user may not do that: give each part its own role and the rights anew by 'moonx migrate --roles'",
    ),
    Cause('role ".*" does not exist', "it does not know the user: check DATABASE_URL, or DB_USER"),
    Cause(
        'database ".*" does not exist',
        "it has no database of that name: create it, or check DATABASE_URL or DB_NAME",
    ),
    Cause(
        "root certificate file|certificate verify failed",
        "its certificate is not trusted here: name who vouches for it, DATABASE_URL=…&sslrootcert=FILE",
    ),
    Cause("does not support SSL", "it offers no encryption: set DB_SSL=false"),
    Cause("could not translate host name", "its host is not known: check the host in DATABASE_URL, or DB_HOST"),
    Cause("Connection refused", "nothing listens there: start it, or check host and port", passes=True),
    Cause("No such file or directory", "its socket is not there: start it, or check the folder", passes=True),
    Cause("the database system is", "it is starting up or shutting down: try again in a moment", passes=True),
    Cause("it was cut", "the connection was cut, and it is there: try again", passes=True),
    Cause("timeout expired", "it did not answer in time: check host, port and firewall", passes=True),
    Cause(
        "canceling statement due to statement timeout",
        "a statement took longer than it may: see what else keeps the database busy",
    ),
    Cause(
        "QueuePool limit",
        "this process uses all of its connections: try again in a moment, or raise DB_MAX_CONNECTIONS",
        passes=True,
    ),
)
"""The first match counts."""


def cause_of(text: str) -> Cause | None:
    """The row that fits what was said."""
    return next((cause for cause in CAUSES if re.search(cause.said, text)), None)


def meaning_of(text: str) -> str:
    """What was said means; or else what was said, in its first line."""
    cause = cause_of(text)
    if cause is not None:
        return cause.meaning
    return f"the driver says: {text.strip().splitlines()[0][:200] if text.strip() else 'nothing'}"


def why_database_failed(error: BaseException) -> str | None:
    """Why the database could not be used, without statements and their values; ``None`` for any other error."""
    if isinstance(error, PoolTimeout | psycopg2.OperationalError):
        return meaning_of(str(error))
    if isinstance(error, DBAPIError) and (
        error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
    ):
        return meaning_of(str(error.orig))
    return None
