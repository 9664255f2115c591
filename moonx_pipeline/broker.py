"""The broker between Dagster's launcher and the workers: Redis, or the pipeline's database if Redis is not set.

A message names a run to execute. Losing one does no harm: it is sent again (see ``defs.undelivered_runs``).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from queue import Empty
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from kombu.connection import Connection
from kombu.exceptions import OperationalError
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.sqlalchemy import Transport
from sqlalchemy import Engine, make_url
from sqlalchemy.exc import SQLAlchemyError

from moonx_pipeline.settings import Settings, load_settings
from moonx_pipeline.storage.connection.engine import database_url, ready_engine
from moonx_pipeline.storage.connection.notifications import CONNECTION_ERRORS, Listener
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.connection.silence import KEEPALIVE

QUEUE: Final = "dagster"
LONGEST_RUN_SECONDS: Final = 3600
"""The time limit of a run that has none of its own."""

_LOOK_SECONDS: Final = 2.0
"""The longest wait for an answer where nothing is sent."""

_SCHEME: Final = "moonx"
_SCHEMA: Final = "celery"
_CHANNEL: Final = "moonx_broker"
_POLLING_SECONDS: Final = 0.1
_CREATING_TABLES: Final = 0x63656C65


class DatabaseTransport(Transport):
    """kombu's transport over SQL, which polls as soon as a run was sent, or else often, and returns after each poll."""

    _listener: Listener | None = None

    def drain_events(self, connection: Any, timeout: float | None = None, **_: Any) -> None:
        assert self.cycle is not None  # noqa: S101 - it is made with the transport
        try:
            self.cycle.get(self._deliver, timeout=timeout)
        except Empty:
            self._await_run()
            raise TimeoutError from None

    def close_connection(self, connection: Any) -> None:
        self._stop_listening()
        super().close_connection(connection)  # type: ignore[no-untyped-call]  # kombu has few types

    def _await_run(self) -> None:
        try:
            if self._listener is None:
                self._listener = Listener(ready_engine(load_settings()), _CHANNEL)
            self._listener.wait(_POLLING_SECONDS)
        except CONNECTION_ERRORS:
            self._stop_listening()
            time.sleep(_POLLING_SECONDS)

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None


TRANSPORT_ALIASES[_SCHEME] = f"{__name__}:{DatabaseTransport.__name__}"


def uses_database(settings: Settings) -> bool:
    """Whether the database is the broker."""
    return settings.broker.url is None


def broker_url(settings: Settings) -> str:
    """Celery's URL of the broker, a secret; starts the embedded database if that is the broker."""
    given = settings.broker.url
    if given is not None:
        return _checking_certificates(given.get_secret_value())
    url = make_url(database_url(settings))
    options = " ".join(filter(None, [str(url.query.get("options", "")), f"-csearch_path={_SCHEMA}"]))
    return f"{_SCHEME}+" + url.update_query_dict({"options": options}).render_as_string(hide_password=False)


def _checking_certificates(url: str) -> str:
    """The URL of a Redis, whose certificate is checked if it is encrypted: unless told so, kombu takes any."""
    parts = urlsplit(url)
    if parts.scheme != "rediss" or "ssl_cert_reqs" in parse_qs(parts.query):
        return url
    return parts._replace(query=f"{parts.query}&ssl_cert_reqs=required".lstrip("&")).geturl()


def celery_settings(settings: Settings) -> dict[str, Any]:
    """The Celery settings on which launcher and workers must agree."""
    broker = settings.broker
    common: dict[str, Any] = {
        "task_default_queue": QUEUE,
        "task_ignore_result": True,
        "result_backend": None,
        "broker_connection_retry_on_startup": True,
    }
    if uses_database(settings):
        pool = {"pool_size": 2, "max_overflow": 8, "pool_recycle": 600, "pool_pre_ping": True}
        arguments = {"application_name": "moonx-broker", **KEEPALIVE}
        return {**common, "broker_transport_options": {**pool, "connect_args": arguments}}
    return {
        **common,
        "broker_transport_options": {
            "socket_connect_timeout": broker.redis_connect_timeout_ms / 1000,
            "socket_timeout": broker.redis_command_timeout_ms / 1000,
            "max_retries": broker.redis_max_retries,
            "interval_start": broker.redis_retry_delay_ms / 1000,
            # After this time a message goes to another worker, unless its run has ended.
            "visibility_timeout": 2 * LONGEST_RUN_SECONDS,
        },
    }


# Delivered messages stay until they are pruned; without the index each poll would read them all.
_INDEX: Final = (
    f"CREATE INDEX kombu_message_waiting ON {_SCHEMA}.kombu_message (queue_id, timestamp, id) WHERE visible <> false"
)
_WAITING: Final = (
    f"SELECT payload FROM {_SCHEMA}.kombu_message m JOIN {_SCHEMA}.kombu_queue q ON q.id = m.queue_id "  # noqa: S608
    "WHERE q.name = %s AND visible <> false"
)


def ping(settings: Settings) -> str | None:
    """Why the broker can't be used now; ``None`` if it answers or is the database."""
    if uses_database(settings):
        return None
    try:
        with _redis(settings):
            return None
    except OperationalError as problem:
        return f"The broker can't be used, and no run reaches a worker: {str(problem).rstrip('.')}."


def waiting_runs(settings: Settings) -> set[str]:
    """The ids of the runs whose messages wait in the broker, because no worker has received them yet.

    Raises:
        OperationalError: Redis can't be used.
        SQLAlchemyError: The database is the broker and can't be used.
    """
    if uses_database(settings):
        with ready_engine(settings).connect() as connection:
            messages = connection.exec_driver_sql(_WAITING, (QUEUE,)).scalars().all()
    else:
        with _redis(settings) as broker:
            channel: Any = broker.default_channel  # its types know no Redis
            messages = channel.client.lrange(QUEUE, 0, -1)
    return {json.loads(message)["headers"]["id"] for message in messages}


@contextmanager
def _redis(settings: Settings) -> Iterator[Connection]:
    """A connection to Redis for a look, which also ends in time where Redis is silent.

    Raises:
        OperationalError: Redis can't be used.
    """
    options = celery_settings(settings)["broker_transport_options"]
    options |= {"socket_connect_timeout": _LOOK_SECONDS, "socket_timeout": _LOOK_SECONDS}
    with Connection(broker_url(settings), transport_options=options) as broker:
        # The second try comes at once: by default it waits for two seconds, longer than a look may take.
        broker.ensure_connection(max_retries=1, interval_start=0, timeout=_LOOK_SECONDS)
        yield broker


def announce_run(settings: Settings) -> None:
    """Wakes the workers after a run was sent, if the database is the broker; they also look by themselves."""
    if uses_database(settings):
        with suppress(SQLAlchemyError), autocommit(ready_engine(settings)) as connection:
            connection.exec_driver_sql(f"NOTIFY {_CHANNEL}")


def prepare_broker(settings: Settings) -> None:
    """Creates the broker's tables if it is the database, under a lock: two processes at once would fail."""
    if uses_database(settings):
        _make_tables(ready_engine(settings), broker_url(settings), settings)


@cache
def _make_tables(engine: Engine, url: str, settings: Settings) -> None:
    options = celery_settings(settings)["broker_transport_options"]
    with engine.begin() as connection:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_CREATING_TABLES,))
        with Connection(url, transport_options=options) as broker:
            # The transport creates its tables on first use and leaves its transaction open.
            broker.default_channel.queue_declare(QUEUE)
            broker.default_channel.session.close()
        if connection.exec_driver_sql("SELECT to_regclass(%s)", (f"{_SCHEMA}.kombu_message_waiting",)).scalar() is None:
            connection.exec_driver_sql(_INDEX)


def prune_delivered(engine: Engine) -> int:
    """Deletes delivered messages, which kombu leaves in its table.

    Args:
        engine: The pipeline's database.

    Returns:
        The number deleted; 0 if the database was never the broker.
    """
    with engine.begin() as connection:
        if connection.exec_driver_sql("SELECT to_regclass(%s)", (f"{_SCHEMA}.kombu_message",)).scalar() is None:
            return 0
        return connection.exec_driver_sql(f"DELETE FROM {_SCHEMA}.kombu_message WHERE NOT visible").rowcount  # noqa: S608 - a constant
