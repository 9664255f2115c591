"""The configured database: its URL, one engine a process, and a clear error when it can't be reached."""

from __future__ import annotations

import logging
import os
import time
from functools import cache
from typing import Final

from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from moonx_pipeline.errors import OperatorError
from moonx_pipeline.settings import Settings
from moonx_pipeline.storage.connection.causes import cause_of, meaning_of
from moonx_pipeline.storage.connection.embedded import embedded_url
from moonx_pipeline.storage.connection.migrations import ensure_schema
from moonx_pipeline.storage.connection.shared_clock import follow_clock
from moonx_pipeline.storage.connection.silence import KEEPALIVE, SERVERS_KEEPALIVE, answers_within
from moonx_pipeline.storage.connection.sql_tracing import trace_sql

WAIT_SECONDS = 15.0
"""How long to wait for a database that is down at startup."""

# The standard library's logger: without logging set up, as in a command, it writes to stderr.
_log = logging.getLogger("database")

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 1.0

_PROBE_SECONDS: Final = 0.8


def database_url(settings: Settings) -> str:
    """SQLAlchemy's URL of the pipeline's database; starts the embedded one if none is set."""
    url = settings.database.url
    return url.get_secret_value() if url else embedded_url(settings.home)


def dagster_database_url(settings: Settings) -> str:
    """SQLAlchemy's URL of Dagster's storage: its own, or the schema ``dagster`` of the pipeline's."""
    own = settings.database.dagster_url_given
    if own:
        return own.get_secret_value()
    ready_engine(settings)  # creates the schema
    url = make_url(database_url(settings))
    options = " ".join(filter(None, [str(url.query.get("options", "")), "-csearch_path=dagster"]))
    return url.update_query_dict({"options": options}).render_as_string(hide_password=False)


def ready_engine(settings: Settings) -> Engine:
    """The process's engine of the pipeline's database, connected and with this version's schema.

    Raises:
        OperatorError: It can't be reached, or its schema is of another version.
    """
    url = database_url(settings)
    most, kept = settings.database.max_connections, settings.database.min_connections
    return _ready_engine(url, settings.database.url is None, most, kept, os.getpid())


@cache
def _ready_engine(url: str, is_embedded: bool, connections: int, kept: int, _process_id: int) -> Engine:
    engine = open_engine(url, connections=connections, kept=kept)
    reach(engine)
    ensure_schema(engine, is_embedded=is_embedded)
    return engine


def open_engine(url: str, *, connections: int = 20, kept: int = 5) -> Engine:
    """An engine with a pool; it connects at first use, and closes what is more than ``kept`` after each use.

    A connection that died in the pool is noticed when it is used, and all pooled connections of its age are
    replaced; asking before each use would cost a round trip a transaction. A sync repeats such a step
    (``storage.connection.retries``).
    """
    engine = create_engine(
        url,
        pool_size=max(1, min(connections, kept)),  # 0 would be any number
        max_overflow=max(0, connections - max(1, kept)),
        pool_recycle=1800,
        pool_timeout=10,
        hide_parameters=True,
        connect_args={
            "application_name": "moonx",
            **KEEPALIVE,
            "options": f"{_options(url)} -ctimezone=UTC -cstatement_timeout=60000 -clock_timeout=20000"
            f" -cidle_in_transaction_session_timeout=60000 -cjit=off {SERVERS_KEEPALIVE}".strip(),
        },
    )
    follow_clock(engine)
    trace_sql(engine)
    return engine


def _options(url: str) -> str:
    return str(make_url(url).query.get("options", ""))


def reach(engine: Engine, *, wait_seconds: float = WAIT_SECONDS) -> None:
    """Waits for the database, for a while if it may be about to come up.

    Raises:
        OperatorError: What can't be reached, why, and what to do.
    """
    end, pause = time.monotonic() + wait_seconds, _FIRST_PAUSE
    while True:
        try:
            with engine.connect():
                return
        except OperationalError as problem:
            text = str(problem.orig)
            cause = cause_of(text)
            if time.monotonic() + pause > end or cause is None or not cause.passes:
                raise OperatorError(_unreachable(engine, text)) from None
        if pause == _FIRST_PAUSE:
            _log.warning("%s Waiting for it, up to %.0f s.", _unreachable(engine, text), wait_seconds)
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def health_engine(engine: Engine) -> Engine:
    """An engine of the same database with one connection, for health checks: it waits for no place in a busy pool."""
    return open_engine(engine.url.render_as_string(hide_password=False), connections=1)


def why_unusable(engine: Engine) -> str | None:
    """Why the database can't be used now, as far as outsiders may know; ``None`` if it can. It takes two seconds.

    A connection that was kept may have been cut, which says nothing about the database: the second look is on a new
    one, since the first replaces what the pool has.

    Args:
        engine: One that nobody else uses; see ``health_engine``.
    """
    for _ in range(2):
        try:
            with answers_within(_PROBE_SECONDS), engine.connect() as connection:
                connection.exec_driver_sql("SELECT 1")
        except SQLAlchemyError:
            continue
        return None
    return "The database can't be used."


def _unreachable(engine: Engine, text: str) -> str:
    """One sentence: which database, why, what to do; never the password."""
    url = engine.url
    place = url.host or url.query.get("host") or "the local socket"
    where = f"{place}{f':{url.port}' if url.port else ''}"
    return f"The database '{url.database}' at {where} can't be used: {meaning_of(text)}."
