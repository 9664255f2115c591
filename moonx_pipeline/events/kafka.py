"""Kafka: the producer of events, and an event's form as a message."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any, Final

from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from moonx_pipeline.deadlines import within
from moonx_pipeline.domain.event_types import TOPICS
from moonx_pipeline.domain.events import EVENT_SOURCE, rfc3339
from moonx_pipeline.events.brokers import connect, why
from moonx_pipeline.metrics.kafka import count_error, count_published
from moonx_pipeline.settings.events import KafkaSettings
from moonx_pipeline.storage.syncs.outbox import OutboxRow
from moonx_pipeline.tracing import OpenSpan, begin_span

_WORDS_SECONDS: Final = 0.25

Header = tuple[str, bytes]


class BrokerUnavailable(Exception):
    """No broker took the events; the message says why, and they wait in the outbox."""


class EventRefused(Exception):
    """The broker will never take this event."""


def topic_names(settings: KafkaSettings) -> dict[str, str]:
    """The topics' names, by the settings."""
    return {topic.name: getattr(settings, topic.setting) for topic in TOPICS}


def headers_of(row: OutboxRow) -> list[Header]:
    """CloudEvents 1.0 in binary mode (https://github.com/cloudevents/spec, Kafka protocol binding).

    An event that was written in a recorded trace names it, by https://www.w3.org/TR/trace-context/.
    """
    texts = {
        "ce_id": str(row.id),
        "ce_type": row.type,
        "ce_source": EVENT_SOURCE,
        "ce_specversion": "1.0",
        "ce_time": rfc3339(row.created_at),
        "ce_subject": row.key,
        "content-type": "application/json",
        **({"traceparent": row.traceparent} if row.traceparent else {}),
    }
    return [(name, text.encode()) for name, text in texts.items()]


def _span_of(row: OutboxRow) -> OpenSpan:
    """The span of sending an event, in the trace that it was written in; a no-op if there was none."""
    if row.traceparent is None:
        return OpenSpan(None)
    about = {
        "messaging.system": "kafka",
        "messaging.destination.name": row.topic,
        "messaging.message.id": str(row.id),
        "moonx.event": row.type,
        "moonx.user": row.key,
    }
    return begin_span(f"send {row.topic}", about, kind="producer", parent=row.traceparent)


def rounds(rows: Iterable[OutboxRow]) -> Iterator[list[OutboxRow]]:
    """Splits events into rounds with at most one of each key, in order, so that none overtakes another."""
    of_key: dict[str, list[OutboxRow]] = {}
    for row in rows:
        of_key.setdefault(row.key, []).append(row)
    for n in range(max(map(len, of_key.values()), default=0)):
        yield [its[n] for its in of_key.values() if n < len(its)]


class _Producer(KafkaProducer):  # type: ignore[misc]
    """The client's producer, made so that it can be given up."""

    def flush(self, timeout: float | None = None) -> None:
        """Does nothing.

        The client's ``close`` flushes first. While a batch is on its way to a silent broker, that raises, and the
        producer stays open, with its thread, its connections and its exit handler. Not flushing loses nothing: what
        was not acknowledged is in the outbox.
        """


class EventProducer:
    """Sends events to Kafka and waits for their acknowledgement. Used by one thread at a time.

    Close it once anything was not acknowledged in time: the client may hold requests that never end.
    """

    def __init__(self, settings: KafkaSettings, *, connect_seconds: float | None = None) -> None:
        """Connects.

        Args:
            settings: Brokers and timeouts.
            connect_seconds: The longest time for connecting; by default that of the settings.

        Raises:
            BrokerUnavailable: No broker answers.
        """
        self._settings = settings
        self._topics = topic_names(settings)
        self.round_seconds: Final = (settings.connection_timeout_ms + settings.request_timeout_ms) / 1000
        """The longest wait for the acknowledgements of one round."""
        try:
            self._producer = _connected_within(connect_seconds or self.round_seconds, settings)
        except (KafkaError, TimeoutError) as problem:
            count_error("unavailable")
            raise BrokerUnavailable(_sentence(settings, problem)) from None

    def send(
        self, rows: list[OutboxRow], *, seconds: float | None = None
    ) -> tuple[list[OutboxRow], dict[OutboxRow, Exception]]:
        """Sends events of different keys in parallel.

        Args:
            rows: At most one event of each key, so that none overtakes another.
            seconds: The longest wait for all of them together; ``round_seconds`` by default.

        Returns:
            The acknowledged events, and for each of the others the error: ``EventRefused`` or ``BrokerUnavailable``.
        """
        failed: dict[OutboxRow, Exception] = {}
        under_way = []
        began = time.monotonic()
        end = began + (self.round_seconds if seconds is None else seconds)
        for row in rows:
            sending = _span_of(row)
            # Sending waits for unknown topic metadata, for this long; the client reads the value at each call.
            self._producer.config["max_block_ms"] = _milliseconds_until(end)
            try:
                future = self._producer.send(
                    self._topics.get(row.topic, row.topic),
                    key=row.key.encode(),
                    value=row.payload.encode(),
                    headers=headers_of(row),
                )
            except (KafkaError, ValueError) as problem:
                failed[row] = self._error(problem)
                sending.end(str(failed[row]))
                if isinstance(failed[row], BrokerUnavailable):
                    break
            else:
                under_way.append((row, future, sending))
        acknowledged = []
        for row, future, sending in under_way:
            try:
                future.get(timeout=max(0.0, end - time.monotonic()))
                acknowledged.append(row)
                count_published(row.topic, time.monotonic() - began)
                sending.end()
            except KafkaError as problem:
                failed[row] = self._error(problem)
                sending.end(str(failed[row]))
        return acknowledged, failed

    def _error(self, problem: Exception) -> Exception:
        if isinstance(problem, MessageSizeTooLargeError | RecordListTooLargeError):
            count_error("refused")
            return EventRefused(f"The broker does not take an event of this size: {problem}")
        count_error("unavailable")
        return BrokerUnavailable(_sentence(self._settings, problem))

    def close(self) -> None:
        """Drops the connections and ends the client's thread without waiting for requests in progress; never raises."""
        self._producer.close(timeout=0)


def _connected_within(seconds: float, settings: KafkaSettings) -> _Producer:
    """Connects a producer within a time.

    The client's own deadline covers most waits, but neither name lookup nor its last request.

    Raises:
        KafkaError: No broker can be used.
        TimeoutError: No broker answers in time.
    """
    return within(
        # A little longer than the client's own deadline, since its error says more than a timeout.
        seconds + _WORDS_SECONDS,
        lambda: connect(_Producer, settings, **_options(settings, seconds)),
        discard=lambda producer: producer.close(timeout=0),
        name="kafka-connect",
    )


def _options(settings: KafkaSettings, connect_seconds: float) -> dict[str, Any]:
    return {
        "acks": "all",
        "bootstrap_timeout_ms": int(connect_seconds * 1000),
        "enable_idempotence": settings.idempotent,
        "max_in_flight_requests_per_connection": settings.max_in_flight,
        "retries": settings.retries,
        "retry_backoff_ms": settings.retry_initial_delay_ms,
        "request_timeout_ms": settings.request_timeout_ms,
        "delivery_timeout_ms": settings.request_timeout_ms * 2,
        "linger_ms": 2,
        "compression_type": None if settings.compression == "none" else settings.compression,
    }


def _milliseconds_until(end: float) -> int:
    return max(0, int((end - time.monotonic()) * 1000))


def _sentence(settings: KafkaSettings, problem: Exception) -> str:
    return f"Kafka at {', '.join(settings.brokers)} takes no events, they wait in the outbox: {why(problem)}."
