"""Reading the event stream: from Kafka where it is configured, else straight from the outbox."""

from __future__ import annotations

import select
import threading
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from sqlalchemy import Connection, Engine

from moonx_pipeline.errors import OperatorError
from moonx_pipeline.events.kafka import connection_options, topic_names
from moonx_pipeline.settings.events import KafkaSettings
from moonx_pipeline.storage.outbox import BEGINNING, CHANNEL, Cursor, OutboxRow, newest, read_after

_BATCH: Final = 500
_POLL_SECONDS: Final = 2.0


class StreamedEvent(NamedTuple):
    """An event as a consumer receives it; ``value`` is its JSON."""

    topic: str
    key: str
    value: dict[str, Any]


def outbox_stream(
    engine: Engine, *, from_beginning: bool, stop: threading.Event | None = None, until_idle: bool = False
) -> Iterator[StreamedEvent]:
    """Events straight from the outbox; none is missed, however late its transaction commits.

    Args:
        engine: The pipeline's database.
        from_beginning: Whether kept events come first.
        stop: Ends the stream when set.
        until_idle: Ends it once there is nothing more.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"LISTEN {CHANNEL}")
        cursor = BEGINNING if from_beginning else newest(connection)
        while stop is None or not stop.is_set():
            rows = read_after(connection, cursor, _BATCH)
            for row in rows:
                yield _streamed(row)
                cursor = Cursor(row.tx, row.seq)
            if not rows:
                if until_idle:
                    return
                _wait(connection)


def _wait(connection: Connection) -> None:
    driver = connection.connection.driver_connection
    assert driver is not None  # noqa: S101 - it is checked out
    if select.select([driver], [], [], _POLL_SECONDS)[0]:
        driver.poll()
        driver.notifies.clear()


def _streamed(row: OutboxRow) -> StreamedEvent:
    return StreamedEvent(row.topic, row.key, msgspec.json.decode(row.payload))


def kafka_stream(
    kafka: KafkaSettings, *, from_beginning: bool, stop: threading.Event | None = None, until_idle: bool = False
) -> Iterator[StreamedEvent]:
    """Events from Kafka, of all partitions; partitions are assigned, so no consumer group is left behind.

    Raises:
        OperatorError: No broker answers.
    """
    names = {name: topic for topic, name in topic_names(kafka).items()}
    try:
        consumer = KafkaConsumer(
            **connection_options(kafka),
            enable_auto_commit=False,
            auto_offset_reset="earliest" if from_beginning else "latest",
            request_timeout_ms=max(kafka.request_timeout_ms, 5000),
        )
    except KafkaError as problem:
        raise OperatorError(
            f"Kafka at {', '.join(kafka.brokers)} can't be read ({type(problem).__name__}): "
            "check KAFKA_BROKERS, or whether it runs."
        ) from None
    try:
        partitions = [
            TopicPartition(name, partition) for name in names for partition in consumer.partitions_for_topic(name) or ()
        ]
        if not partitions:
            raise OperatorError(f"Kafka at {', '.join(kafka.brokers)} has none of the topics {', '.join(names)} yet.")
        consumer.assign(partitions)
        if from_beginning:
            consumer.seek_to_beginning(*partitions)
        while stop is None or not stop.is_set():
            polled = consumer.poll(timeout_ms=500)
            for records in polled.values():
                for record in records:
                    yield StreamedEvent(
                        names[record.topic], (record.key or b"").decode(), msgspec.json.decode(record.value)
                    )
            if not polled and until_idle:
                return
    finally:
        consumer.close()


def event_stream(
    engine: Engine,
    kafka: KafkaSettings,
    *,
    from_beginning: bool = False,
    stop: threading.Event | None = None,
    until_idle: bool = False,
) -> Iterator[StreamedEvent]:
    """The stream that consumers of this installation read."""
    if kafka.brokers:
        return kafka_stream(kafka, from_beginning=from_beginning, stop=stop, until_idle=until_idle)
    return outbox_stream(engine, from_beginning=from_beginning, stop=stop, until_idle=until_idle)
