"""What the tests of events do: put events into the outbox, consume them from Kafka."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable

from kafka import KafkaConsumer, TopicPartition
from sqlalchemy import Connection, Engine

from moonx_pipeline.domain.events import Event
from moonx_pipeline.events.kafka import topic_names
from moonx_pipeline.settings.events import KafkaSettings
from moonx_pipeline.storage.syncs.outbox import insert_events


def event(key: str, number: int, topic: str = "sync.events", *, padding: str = "") -> Event:
    event_id = uuid.uuid4()
    payload = {
        "eventId": str(event_id),
        "eventType": "sync.started",
        "userId": key,
        "version": number,
        "timestamp": "2026-03-02T12:00:00.000Z",
        "data": {"number": number, **({"padding": padding} if padding else {})},
    }
    return Event(event_id, topic, key, "sync.started", number, payload)


def put(engine: Engine | Connection, *rows: Event) -> None:
    if isinstance(engine, Connection):
        insert_events(engine, rows)
        return
    with engine.begin() as connection:
        insert_events(connection, rows)


def consume(kafka: KafkaSettings, count: int, topics: Iterable[str] = ("sync.events",)) -> list:
    """Waits for so many records of topics, and returns all that are there then."""
    consumer = KafkaConsumer(bootstrap_servers=list(kafka.brokers), enable_auto_commit=False)
    names = topic_names(kafka)
    partitions = [TopicPartition(names[topic], n) for topic in topics for n in range(3)]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    records: list = []
    idle = 0
    while len(records) < count and idle < 40:
        polled = [record for batch in consumer.poll(timeout_ms=500).values() for record in batch]
        records += polled
        idle = 0 if polled else idle + 1
    records += [record for batch in consumer.poll(timeout_ms=300).values() for record in batch]
    consumer.close()
    return records


def unpublished_count(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.exec_driver_sql("SELECT count(*) FROM outbox_events WHERE published_at IS NULL").scalar_one()


def numbers_by_key(records) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for record in records:
        found.setdefault(record.key.decode(), []).append(json.loads(record.value)["data"]["number"])
    return found
