"""Connects to Kafka's brokers, and describes why that fails."""

from __future__ import annotations

import logging
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Any, Final, TypeVar

from kafka import KafkaConsumer
from kafka.errors import (
    AuthorizationError,
    InvalidReceiveError,
    KafkaError,
    KafkaTimeoutError,
    RequestTimedOutError,
    SaslAuthenticationFailedError,
    UnknownTopicOrPartitionError,
    UnsupportedSaslMechanismError,
)

from moonx_pipeline.events.handshakes import SILENT, prompt_context
from moonx_pipeline.settings.events import KafkaSettings

Client = TypeVar("Client")

_LOGIN: Final = "KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM"
_KINDS: Final = (
    (
        (SaslAuthenticationFailedError, UnsupportedSaslMechanismError),
        f"it refuses the user or the password: check {_LOGIN}",
    ),
    (
        (InvalidReceiveError,),
        "what answers there does not speak as the settings say: check KAFKA_BROKERS and KAFKA_SSL",
    ),
    ((AuthorizationError,), "it does not grant this to the user: check his rights"),
    ((UnknownTopicOrPartitionError,), "the topic is not there: create it, or check KAFKA_TOPIC_*"),
)
_TELLING: Final = tuple(kind for kinds, _ in _KINDS for kind in kinds)
# ApiVersions, which every broker answers without a login: length, kind 18, version 0, request number, no client
# name.
_API_VERSIONS: Final = struct.pack(">ihhih", 10, 18, 0, 0, -1)

_LATE: Final = (KafkaTimeoutError, RequestTimedOutError, TimeoutError)
_SILENT: Final = "it does not answer in time: check KAFKA_BROKERS, whether it runs, and how busy it is"

# Texts of the client's errors that have no class of their own. The first that fits counts.
_TEXTS: Final = (
    (
        "CERTIFICATE_VERIFY_FAILED",
        "its certificate is not trusted here: put who vouches for it into KAFKA_SSL_CA, or check KAFKA_BROKERS",
    ),
    (SILENT, _SILENT),
    ("Handshake failed", "it does not encrypt as it was asked to: check KAFKA_SSL"),
    ("DNS", "its host is not known: check KAFKA_BROKERS"),
    ("ECONNREFUSED", "nothing listens there: start it, or check KAFKA_BROKERS"),
    (
        # Also for a refused password: the broker may close before its answer is read.
        "disconnected",
        f"it cuts the connection: check KAFKA_SSL, {_LOGIN}",
    ),
)


class _Failures(logging.Handler):
    """Keeps the failures that the client logs: its own error only says that time was over."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard: list[KafkaError] = []

    def emit(self, record: logging.LogRecord) -> None:
        arguments = record.args if isinstance(record.args, tuple) else ()
        self.heard += [given for given in arguments if isinstance(given, KafkaError)]

    def most_telling(self) -> KafkaError | None:
        """The last failure of a kind that suggests a remedy, else the last that is no timeout."""
        telling = [failure for failure in self.heard if isinstance(failure, _TELLING)]
        others = [failure for failure in self.heard if not isinstance(failure, _LATE)]
        return next(reversed(telling or others), None)


def connect(client: Callable[..., Client], settings: KafkaSettings, **options: Any) -> Client:
    """Connects a producer or consumer to a broker, and from then on keeps the client's own lines out of the log.

    Args:
        client: The class to make.
        settings: Brokers, encryption, login.
        options: Its other arguments.

    Raises:
        KafkaError: No broker can be used; ``why`` puts it into words.
    """
    mute_client()
    failures, log = _Failures(), logging.getLogger("kafka.net.manager")
    log.addHandler(failures)
    try:
        return client(**_connection_options(settings) | options)
    except KafkaError as problem:
        raise (failures.most_telling() or problem) from None
    finally:
        log.removeHandler(failures)


def mute_client() -> None:
    """Keeps the client's own lines out of this process's log; ``connect`` still reads them.

    The client logs each contact with brokers, and each failed try in ten lines; its callers log when Kafka goes and
    comes.
    """
    log = logging.getLogger("kafka")
    log.setLevel(logging.WARNING)
    log.propagate = False
    if not log.handlers:
        log.addHandler(logging.NullHandler())


def why(problem: Exception) -> str:
    """Describes a connection failure and its remedy, phrased to follow a colon."""
    by_kind = next((words for kinds, words in _KINDS if isinstance(problem, kinds)), None)
    by_text = next((words for sign, words in _TEXTS if sign in str(problem)), None)
    late = _SILENT if isinstance(problem, _LATE) else None
    return by_kind or by_text or late or f"{type(problem).__name__}: check KAFKA_BROKERS, or whether it runs"


def why_unreachable(settings: KafkaSettings) -> str | None:
    """Why none of the brokers answers; ``None`` if one does. The request needs no login."""
    if any(_answers(broker, settings) for broker in settings.brokers):
        return None
    return f"No broker answers at {', '.join(settings.brokers)}: events wait in the outbox."


def why_refused(broker: str, settings: KafkaSettings, seconds: float) -> str | None:
    """Why a broker lets nobody in who comes with the settings' encryption and login; ``None`` if it does.

    Args:
        broker: One of the settings' brokers.
        settings: Encryption and login.
        seconds: The longest that it may take.
    """
    within = {"bootstrap_timeout_ms": int(seconds * 1000), "request_timeout_ms": int(seconds * 1000)}
    try:
        connect(KafkaConsumer, settings.model_copy(update={"brokers": (broker,)}), **within).close()
    except KafkaError as problem:
        return why(problem)
    return None


def _answers(broker: str, settings: KafkaSettings) -> bool:
    """Whether a broker answers a request. Connecting proves nothing: a frozen broker's kernel still accepts."""
    host, _, port = broker.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=settings.connection_timeout_ms / 1000) as connection:
            if not settings.ssl:
                return _answers_on(connection)
            context = ssl.create_default_context(cadata=settings.ssl_authorities)
            with context.wrap_socket(connection, server_hostname=host) as encrypted:
                return _answers_on(encrypted)
    except OSError:
        return False


def _answers_on(connection: socket.socket) -> bool:
    connection.sendall(_API_VERSIONS)
    return bool(connection.recv(4))


def _connection_options(settings: KafkaSettings) -> dict[str, Any]:
    options: dict[str, Any] = {
        "bootstrap_servers": list(settings.brokers),
        "client_id": settings.client_id,
        "connections_max_idle_ms": settings.idle_timeout_ms,
        "reconnect_backoff_ms": settings.retry_initial_delay_ms,
        "reconnect_backoff_max_ms": settings.retry_max_delay_ms,
        "bootstrap_timeout_ms": settings.connection_timeout_ms + settings.request_timeout_ms,
        "metrics_enabled": False,
    }
    protocol = "SSL" if settings.ssl else "PLAINTEXT"
    if settings.ssl:
        options["ssl_context"] = prompt_context(settings.ssl_authorities, settings.connection_timeout_ms / 1000)
    if settings.sasl_username:
        protocol = f"SASL_{protocol}"
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": settings.sasl_password.get_secret_value() if settings.sasl_password else "",
        }
    return {**options, "security_protocol": protocol}
