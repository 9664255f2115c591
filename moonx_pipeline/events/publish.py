"""Publishing at the end of a sync, where no relay does it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection
from typing import Final, NamedTuple

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from moonx_pipeline.events.kafka import BrokerUnavailable, EventProducer
from moonx_pipeline.events.relay import publish_batch
from moonx_pipeline.settings.events import KafkaSettings
from moonx_pipeline.storage.outbox import CHANNEL, SHARDS, lock_shards, shards_of, unlock_shards

DEADLINE_SECONDS: Final = 3.0
LEFT_ALONE_SECONDS: Final = 30.0
"""A Kafka that was away is not tried again by this process for so long: each of its syncs would wait for it anew."""

_producers: dict[tuple[int, KafkaSettings], EventProducer] = {}
_away: dict[KafkaSettings, Away] = {}
_lock = threading.Lock()


class Away(NamedTuple):
    """A Kafka that did not answer: until when (``time.monotonic()``) it is left alone, and why."""

    until: float
    problem: str


class PublishOutcome(NamedTuple):
    """What became of a user's events.

    Attributes:
        published: Events that were published here.
        by: ``sync`` (here), ``relay`` (it has the shards and was woken), or ``outbox`` (there is no Kafka:
            consumers read the outbox).
        problem: Why events wait, where they do.
    """

    published: int
    by: str
    problem: str | None = None


def publish_pending(engine: Engine, kafka: KafkaSettings, keys: Collection[str] | None = None) -> PublishOutcome:
    """Publishes what waits in the shards of keys, or wakes the relay that has them. Never raises for Kafka's sake.

    Args:
        engine: The pipeline's database.
        kafka: Where to; without brokers nothing is published.
        keys: The user, and what alerts of his sync are about; everybody by default.
    """
    if not kafka.brokers:
        return PublishOutcome(0, "outbox")
    published = 0
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            wanted = set(range(SHARDS)) if keys is None else shards_of(connection, keys)
            shards = lock_shards(connection, wanted)
            if shards != wanted:
                connection.exec_driver_sql(f"NOTIFY {CHANNEL}")
            if not shards:
                return PublishOutcome(0, "relay")
            try:
                if (away := _away.get(kafka)) is not None and time.monotonic() < away.until:
                    return PublishOutcome(0, "sync", away.problem)
                end = time.monotonic() + DEADLINE_SECONDS
                with _lock:
                    producer = _process_producer(kafka)
                    while time.monotonic() < end and (count := publish_batch(connection, producer, shards)):
                        published += count
            finally:
                unlock_shards(connection, shards)
    except BrokerUnavailable as problem:
        _forget_producer(kafka)
        _away[kafka] = Away(time.monotonic() + LEFT_ALONE_SECONDS, str(problem))
        return PublishOutcome(published, "sync", str(problem))
    except DBAPIError as problem:
        return PublishOutcome(published, "sync", f"The outbox could not be read: {problem.orig}")
    return PublishOutcome(published, "sync")


def _process_producer(kafka: KafkaSettings) -> EventProducer:
    """One producer a process: it costs connections; a forked process makes its own."""
    key = (os.getpid(), kafka)
    if key not in _producers:
        _producers[key] = EventProducer(kafka)
    return _producers[key]


def _forget_producer(kafka: KafkaSettings) -> None:
    producer = _producers.pop((os.getpid(), kafka), None)
    if producer is not None:
        producer.close()
