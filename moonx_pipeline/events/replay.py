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
        OperatorError: Kafka did not take all of them; a retry is safe. Events that are too large for it don't hold up
            the others: it says how many they were.
    """
    try:
        producer = EventProducer(kafka)
    except BrokerUnavailable as problem:
        raise OperatorError(str(problem)) from None
    count = refused = 0
    reason = ""
    cursor: ReplayCursor | None = ReplayCursor()
    try:
        with autocommit(engine) as connection:
            while cursor is not None:
                rows, cursor = read_since(connection, since, user_id, cursor, _BATCH)
                published, refusals = _publish_in_order(producer, rows)
                count += published
                refused += len(refusals)
                reason = reason or next(map(str, refusals), "")
    finally:
        producer.close()
    if refused:
        raise OperatorError(
            f"{refused:,} of {count + refused:,} events were refused, the others were published again. {reason} "
            "Raise Kafka's message.max.bytes or the topic's max.message.bytes, then repeat the command."
        )
    return count


def _publish_in_order(producer: EventProducer, rows: Sequence[OutboxRow]) -> tuple[int, list[EventRefused]]:
    count = 0
    refusals: list[EventRefused] = []
    for together in rounds(rows):
        acknowledged, failed = producer.send(together)
        count += len(acknowledged)
        refusals += [error for error in failed.values() if isinstance(error, EventRefused)]
        lost = next((error for error in failed.values() if not isinstance(error, EventRefused)), None)
        if lost is not None:
            raise OperatorError(f"{lost} {count} of this batch were published again; repeat the command.")
    return count, refusals
