"""Reads the event stream: from Kafka if it is configured, else from the outbox.

A stream keeps its position when its connection breaks: the next read goes on there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, Final, NamedTuple, Protocol

import msgspec
import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from sqlalchemy import Engine

from moonx_pipeline.errors import OperatorError
from moonx_pipeline.events.brokers import connect, why
from moonx_pipeline.events.kafka import topic_names
from moonx_pipeline.settings.events import KafkaSettings
from moonx_pipeline.storage.connection.notifications import CONNECTION_ERRORS, Listener
from moonx_pipeline.storage.syncs.event_reads import OLDEST, newest, read_after
from moonx_pipeline.storage.syncs.outbox import CHANNEL, OutboxRow

_BATCH: Final = 500
_POLL_SECONDS: Final = 0.5
_CHECK_SECONDS: Final = 5.0
"""How often an idle Kafka is checked for being there and for new partitions."""

_CHECK_TIMEOUT_MS: Final = 2000

_decode = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode
_log = structlog.get_logger("stream")


class StreamedEvent(NamedTuple):
    """An event as a consumer receives it; ``value`` is its JSON, with numbers exact."""

    topic: str
    key: str
    value: dict[str, Any]


class StreamUnavailable(OperatorError):
    """The stream can't be read now; a later read goes on at its position."""


class EventStream(Protocol):
    """A reader of the stream. Used by one thread at a time."""

    def open(self) -> None:
        """Connects, and takes a position if it has none; later events are not missed.

        Raises:
            StreamUnavailable: Kafka or the database is away.
        """

    def read(self, seconds: float) -> list[StreamedEvent]:
        """The next events, at most some hundreds; waits for the first of them, and opens the stream if needed.

        Raises:
            StreamUnavailable: Kafka or the database is away.
        """

    def has_skipped(self) -> bool:
        """Whether events may have been missed since the last call, since the position was lost."""

    def close(self) -> None:
        """Drops the connection and keeps the position."""


class OutboxStream:
    """Reads events from the outbox; none is missed, however late its transaction commits."""

    def __init__(self, engine: Engine, *, from_beginning: bool = False) -> None:
        """Connects nothing before ``open``."""
        self._engine = engine
        self._position = OLDEST if from_beginning else None
        self._listener: Listener | None = None
        self._skipped = False

    def open(self) -> None:
        try:
            self._opened()
        except CONNECTION_ERRORS as problem:
            raise self._unavailable(problem) from None

    def read(self, seconds: float) -> list[StreamedEvent]:
        try:
            listener = self._opened()
            rows = self._look(listener)
            if not rows and listener.wait(seconds):
                rows = self._look(listener)
        except CONNECTION_ERRORS as problem:
            raise self._unavailable(problem) from None
        return [StreamedEvent(row.topic, row.key, _decode(row.payload)) for row in rows]

    def has_skipped(self) -> bool:
        skipped, self._skipped = self._skipped, False
        return skipped

    def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _opened(self) -> Listener:
        if self._listener is None:
            self._listener = Listener(self._engine, CHANNEL)
            now = newest(self._listener.connection)
            # Smaller transaction numbers mean another server, such as a copy that lost the latest transactions.
            if self._position is None or now.next_tx < self._position.next_tx:
                self._position, self._skipped = now, True
        return self._listener

    def _look(self, listener: Listener) -> list[OutboxRow]:
        assert self._position is not None  # noqa: S101 - it is open
        rows, self._position = read_after(listener.connection, self._position, _BATCH)
        return rows

    def _unavailable(self, problem: Exception) -> StreamUnavailable:
        self.close()
        return StreamUnavailable(f"The database is away: {str(getattr(problem, 'orig', problem)).strip()}")


class _Consumer(KafkaConsumer):  # type: ignore[misc]
    def __init__(self, **options: Any) -> None:
        try:
            super().__init__(**options)
        except KafkaError:
            self._client.close()  # else its thread would keep running
            raise


class KafkaStream:
    """Reads events from all of Kafka's partitions, without a consumer group: every reader gets all."""

    def __init__(self, kafka: KafkaSettings, *, from_beginning: bool = False) -> None:
        """Connects nothing before ``open``."""
        self._kafka = kafka
        self._from_beginning = from_beginning
        self._names = {name: topic for topic, name in topic_names(kafka).items()}
        self._offsets: dict[TopicPartition, int] | None = None
        self._consumer: KafkaConsumer | None = None
        self._checked = 0.0
        self._skipped = False

    @property
    def has_topics(self) -> bool:
        """Whether any of its topics exists."""
        return bool(self._offsets)

    def open(self) -> None:
        try:
            self._opened()
        except KafkaError as problem:
            raise self._unavailable(problem) from None

    def read(self, seconds: float) -> list[StreamedEvent]:
        try:
            polled = self._opened().poll(timeout_ms=int(seconds * 1000), max_records=_BATCH)
            if not polled or time.monotonic() - self._checked >= _CHECK_SECONDS:
                self._check()
        except (OffsetOutOfRangeError, NoOffsetForPartitionError):
            # The events at its position were pruned.
            self.close()
            self._offsets = None
            return []
        except KafkaError as problem:
            raise self._unavailable(problem) from None
        events = []
        for partition, records in polled.items():
            events += [event for record in records if (event := self._event(record)) is not None]
            self._offsets[partition] = records[-1].offset + 1  # type: ignore[index]
        return events

    def has_skipped(self) -> bool:
        skipped, self._skipped = self._skipped, False
        return skipped

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close(timeout_ms=_CHECK_TIMEOUT_MS)
            self._consumer = None

    def _opened(self) -> KafkaConsumer:
        if self._consumer is None:
            self._consumer = connect(
                _Consumer,
                self._kafka,
                enable_auto_commit=False,
                auto_offset_reset="none",
                allow_auto_create_topics=False,
                metadata_max_age_ms=int(_CHECK_SECONDS * 1000),
                request_timeout_ms=max(self._kafka.request_timeout_ms, 5000),
            )
            if self._offsets is None:
                partitions = self._partitions()
                ends = self._consumer.beginning_offsets if self._from_beginning else self._consumer.end_offsets
                self._offsets = ends(partitions, timeout_ms=_CHECK_TIMEOUT_MS) if partitions else {}
                self._skipped = True
            self._assign()
        return self._consumer

    def _check(self) -> None:
        """Checks that the brokers are there, and adds new partitions, from their beginning."""
        assert self._consumer is not None  # noqa: S101 - it is open
        assert self._offsets is not None  # noqa: S101
        if time.monotonic() - self._checked < _CHECK_SECONDS:
            return
        if self._offsets:
            self._consumer.end_offsets(list(self._offsets), timeout_ms=_CHECK_TIMEOUT_MS)
        new = [partition for partition in self._partitions() if partition not in self._offsets]
        if new:
            self._offsets.update(self._consumer.beginning_offsets(new, timeout_ms=_CHECK_TIMEOUT_MS))
            self._assign()
        self._checked = time.monotonic()

    def _partitions(self) -> list[TopicPartition]:
        assert self._consumer is not None  # noqa: S101 - it is open
        return [
            TopicPartition(name, number)
            for name in self._names
            for number in sorted(self._consumer.partitions_for_topic(name))
        ]

    def _assign(self) -> None:
        assert self._consumer is not None  # noqa: S101 - it is open
        assert self._offsets is not None  # noqa: S101
        self._consumer.assign(list(self._offsets))
        for partition, offset in self._offsets.items():
            self._consumer.seek(partition, offset)

    def _event(self, record: Any) -> StreamedEvent | None:
        try:
            return StreamedEvent(self._names[record.topic], (record.key or b"").decode(), _decode(record.value or b""))
        except ValueError:
            _log.warning("no event", topic=record.topic, partition=record.partition, offset=record.offset)
            return None

    def _unavailable(self, problem: KafkaError) -> StreamUnavailable:
        self.close()
        return StreamUnavailable(f"Kafka at {', '.join(self._kafka.brokers)} can't be read: {why(problem)}.")


def open_stream(engine: Engine, kafka: KafkaSettings, *, from_beginning: bool = False) -> EventStream:
    """The stream of this installation's consumers; not opened yet."""
    if kafka.brokers:
        return KafkaStream(kafka, from_beginning=from_beginning)
    return OutboxStream(engine, from_beginning=from_beginning)


def event_stream(
    engine: Engine,
    kafka: KafkaSettings,
    *,
    from_beginning: bool = False,
    stop: threading.Event | None = None,
    until_idle: bool = False,
) -> Iterator[StreamedEvent]:
    """Yields the events of this installation's stream, one after the other.

    Args:
        engine: The pipeline's database.
        kafka: Kafka; the outbox is read if it has no brokers.
        from_beginning: Whether kept events come first.
        stop: Ends the stream when set.
        until_idle: Ends it once there is nothing more.

    Raises:
        OperatorError: The stream can't be read, or Kafka has none of its topics.
    """
    stream = open_stream(engine, kafka, from_beginning=from_beginning)
    stop = stop or threading.Event()
    try:
        stream.open()
        if isinstance(stream, KafkaStream) and not stream.has_topics:
            names = ", ".join(topic_names(kafka).values())
            raise OperatorError(f"Kafka at {', '.join(kafka.brokers)} has none of the topics {names} yet.")
        while not stop.is_set():
            events: Iterable[StreamedEvent] = stream.read(_POLL_SECONDS)
            yield from events
            if until_idle and not events:
                return
    finally:
        stream.close()
