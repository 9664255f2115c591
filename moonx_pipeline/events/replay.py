"""Publishes kept events again, for a consumer that lost them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Engine

from moonx_pipeline.errors import OperatorError
from moonx_pipeline.events.kafka import BrokerUnavailable, EventProducer, EventRefused, rounds
from moonx_pipeline.settings.events import KafkaSettings
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.syncs.event_reads import ReplayCursor, read_since
from moonx_pipeline.storage.syncs.outbox import OutboxRow

_BATCH = 500


def replay_events(engine: Engine, kafka: KafkaSettings, *, since: datetime, user_id: str | None = None) -> int:
    """Publishes kept events to Kafka again, in each user's order, with their ids.

    Returns:
        The number published.

    Raises:
        OperatorError: Kafka did not take all of them; a retry is safe.
    """
    try:
        producer = EventProducer(kafka)
    except BrokerUnavailable as problem:
        raise OperatorError(str(problem)) from None
    count = 0
    cursor: ReplayCursor | None = ReplayCursor()
    try:
        with autocommit(engine) as connection:
            while cursor is not None:
                rows, cursor = read_since(connection, since, user_id, cursor, _BATCH)
                count += _publish_in_order(producer, rows)
    finally:
        producer.close()
    return count


def _publish_in_order(producer: EventProducer, rows: Sequence[OutboxRow]) -> int:
    count = 0
    for together in rounds(rows):
        acknowledged, failed = producer.send(together)
        count += len(acknowledged)
        lost = next((error for error in failed.values() if not isinstance(error, EventRefused)), None)
        if lost is not None:
            raise OperatorError(f"{lost} {count} of this batch were published again; repeat the command.")
    return count
