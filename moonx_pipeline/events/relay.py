"""The relay: moves events from the outbox to Kafka, in the order of each user, and marks what was acknowledged."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable, Collection
from functools import partial
from typing import Final

import structlog
from sqlalchemy import Connection, Engine

from moonx_pipeline.events.kafka import BrokerUnavailable, EventProducer, EventRefused, rounds
from moonx_pipeline.settings.events import KafkaSettings
from moonx_pipeline.storage.connection.notifications import CONNECTION_ERRORS
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.syncs.outbox import (
    CHANNEL,
    SHARDS,
    lock_shards,
    mark_published,
    set_aside,
    unpublished,
)

BATCH: Final = 500
POLL_SECONDS: Final = 5.0
"""The longest delay after a lost notification."""

_LONGEST_PAUSE: Final = 2.0
"""The longest pause between tries while Kafka or the database is away; short, so events flow soon after."""

_log = structlog.get_logger("relay")


def publish_batch(
    connection: Connection, producer: EventProducer, shards: Collection[int], *, seconds: Callable[[], float]
) -> int:
    """Publishes the oldest events of shards whose locks the caller holds.

    Events of one key go one after the other, each acknowledged before the next is sent; those of different
    keys go in parallel. Acknowledged events are marked even if a later one fails.

    Args:
        connection: The connection that holds the locks.
        producer: The producer; close it after ``BrokerUnavailable``.
        shards: The shards.
        seconds: Gives how long the next round may wait for Kafka; called before each, 0 begins no more.

    Returns:
        The number published or set aside; 0 if there was nothing to publish, or no time.

    Raises:
        BrokerUnavailable: Kafka did not acknowledge all of a round in its time.
    """
    done = 0
    for together in rounds(unpublished(connection, shards, BATCH)):
        if (patience := seconds()) <= 0:
            break
        acknowledged, failed = producer.send(together, seconds=patience)
        mark_published(connection, [row.id for row in acknowledged])
        done += len(acknowledged)
        for row, error in failed.items():
            if isinstance(error, EventRefused):
                # Otherwise it would block all later events of its key for ever.
                _log.error("event set aside", event_id=str(row.id), type=row.type, user=row.key, reason=str(error))
                set_aside(connection, row.id, str(error))
                done += 1
        unavailable = next((error for error in failed.values() if isinstance(error, BrokerUnavailable)), None)
        if unavailable is not None:
            raise unavailable
    return done


class Relay:
    """Publishes the shards that no other process publishes, until stopped."""

    def __init__(self, engine: Engine, kafka: KafkaSettings) -> None:
        """Connects nothing before ``run``."""
        self._engine = engine
        self._kafka = kafka
        self._stop = threading.Event()
        self._producer: EventProducer | None = None
        self._down = False
        self._kafka_problem: str | None = None

    @property
    def kafka_problem(self) -> str | None:
        """Why Kafka took no events at the last try; ``None`` if it took them, or there were none."""
        return self._kafka_problem

    def stop(self) -> None:
        """Ends ``run`` after the current round; safe in a signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Publishes until stopped; keeps trying while the database or Kafka is away.

        A round ends at its deadline even if Kafka is silent. The shards are then given up, and not taken again before
        Kafka answers: another relay may reach it.
        """
        pause = 0.1
        while not self._stop.is_set():
            try:
                producer = self._connected()
                with autocommit(self._engine) as connection:
                    try:
                        self._publish_shards(connection, producer)
                    finally:
                        # The connection holds the locks: it must not go back to the pool with them.
                        connection.invalidate()
            except BrokerUnavailable as problem:
                self._kafka_problem = str(problem)
                self._note_down(str(problem))
                self._drop_producer()
            except CONNECTION_ERRORS as problem:
                self._note_down(f"The database is away: {getattr(problem, 'orig', problem)}")
            else:
                pause = 0.1
                continue
            self._stop.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        self._drop_producer()

    def _connected(self) -> EventProducer:
        if self._producer is None:
            self._producer = EventProducer(self._kafka)
        return self._producer

    def _seconds(self, producer: EventProducer) -> float:
        return 0.0 if self._stop.is_set() else producer.round_seconds

    def _publish_shards(self, connection: Connection, producer: EventProducer) -> None:
        connection.exec_driver_sql(f"LISTEN {CHANNEL}")
        held: set[int] = set()
        tried = 0.0
        while not self._stop.is_set():
            if len(held) < SHARDS and time.monotonic() - tried >= POLL_SECONDS:
                held |= lock_shards(connection, set(range(SHARDS)) - held)
                tried = time.monotonic()
            published = publish_batch(connection, producer, held, seconds=partial(self._seconds, producer))
            self._kafka_problem = None
            if published:
                self._note_up(published)
            else:
                self._wait_for_events(connection)

    def _wait_for_events(self, connection: Connection) -> None:
        driver = connection.connection.driver_connection
        assert driver is not None  # noqa: S101 - it is checked out
        end = time.monotonic() + POLL_SECONDS
        while not self._stop.is_set() and time.monotonic() < end:
            ready, _, _ = select.select([driver], [], [], 0.5)
            if ready:
                driver.poll()
                if driver.notifies:
                    driver.notifies.clear()
                    return

    def _note_down(self, reason: str) -> None:
        if not self._down:
            _log.warning("events wait", reason=reason)
        self._down = True

    def _note_up(self, published: int) -> None:
        if self._down:
            _log.info("events flow again")
        self._down = False
        _log.debug("published", events=published)

    def _drop_producer(self) -> None:
        if self._producer is not None:
            self._producer.close()
            self._producer = None
