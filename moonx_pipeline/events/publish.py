"""Publishes events at the end of a sync, if no relay does."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final, NamedTuple

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from moonx_pipeline.events.kafka import BrokerUnavailable, EventProducer
from moonx_pipeline.events.relay import publish_batch
from moonx_pipeline.settings.events import KafkaSettings
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.syncs.outbox import CHANNEL, SHARDS, lock_shards, shards_of, unlock_shards

DEADLINE_SECONDS: Final = 3.0
"""The longest that a sync waits for Kafka in all, whether Kafka refuses or is silent."""

LEFT_ALONE_SECONDS: Final = 10.0
"""How long a process does not try a Kafka again that was away: else each sync would wait for it anew."""

_CONNECT_SECONDS: Final = 1.5
_ROUND_SECONDS: Final = 1.0
"""The least time to begin a round of events with: one cut short would look as if Kafka were away."""

_producers: dict[tuple[int, KafkaSettings], EventProducer] = {}
_away: dict[KafkaSettings, Away] = {}
_lock = threading.Lock()


class Away(NamedTuple):
    """A Kafka that did not answer: until when (``time.monotonic()``) it is not tried again, and why."""

    until: float
    problem: str


class PublishOutcome(NamedTuple):
    """How a user's events were published.

    Attributes:
        published: Events that were published here.
        by: ``sync`` (here), ``relay`` (it has the shards and was woken), or ``outbox`` (there is no Kafka:
            consumers read the outbox).
        problem: Why events wait, if they do.
    """

    published: int
    by: str
    problem: str | None = None


def publish_pending(engine: Engine, kafka: KafkaSettings, keys: Collection[str] | None = None) -> PublishOutcome:
    """Publishes waiting events in the shards of keys, or wakes their relay. Kafka being away never raises.

    Args:
        engine: The pipeline's database.
        kafka: Kafka; without brokers nothing is published.
        keys: The user, and the keys of the sync's alerts; by default all.
    """
    if not kafka.brokers:
        return PublishOutcome(0, "outbox")
    end = time.monotonic() + DEADLINE_SECONDS
    published = 0
    try:
        with autocommit(engine) as connection:
            wanted = set(range(SHARDS)) if keys is None else shards_of(connection, keys)
            shards = lock_shards(connection, wanted)
            if shards != wanted:
                connection.exec_driver_sql(f"NOTIFY {CHANNEL}")
            if not shards:
                return PublishOutcome(0, "relay")
            try:
                if (away := _away.get(kafka)) is not None and time.monotonic() < away.until:
                    return PublishOutcome(0, "sync", away.problem)
                with _producer_of_process(kafka, end) as producer:
                    seconds = partial(_seconds_until, end)
                    while count := publish_batch(connection, producer, shards, seconds=seconds):
                        published += count
            finally:
                unlock_shards(connection, shards)
    except BrokerUnavailable as problem:
        return PublishOutcome(published, "sync", str(problem))
    except DBAPIError as problem:
        return PublishOutcome(published, "sync", f"The outbox could not be read: {problem.orig}")
    return PublishOutcome(published, "sync")


@contextmanager
def _producer_of_process(kafka: KafkaSettings, end: float) -> Iterator[EventProducer]:
    """The process's one producer, for one thread at a time; a producer costs connections.

    Raises:
        BrokerUnavailable: No broker answers, or another thread held the producer for the whole time.
    """
    if not _lock.acquire(timeout=max(0.0, end - _ROUND_SECONDS - time.monotonic())):
        raise BrokerUnavailable("Kafka is slow: another sync of this process still publishes, these events wait.")
    key = (os.getpid(), kafka)  # a forked process makes its own
    try:
        if key not in _producers:
            _producers[key] = EventProducer(kafka, connect_seconds=_CONNECT_SECONDS)
        yield _producers[key]
    except BrokerUnavailable as problem:
        _away[kafka] = Away(time.monotonic() + LEFT_ALONE_SECONDS, str(problem))
        if (producer := _producers.pop(key, None)) is not None:
            producer.close()
        raise
    finally:
        _lock.release()


def _seconds_until(end: float) -> float:
    left = end - time.monotonic()
    return left if left >= _ROUND_SECONDS else 0.0
