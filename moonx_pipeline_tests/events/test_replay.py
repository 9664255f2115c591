"""Replay: kept events go to Kafka again, those that it refuses are counted."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from moonx_pipeline.clock import utc_now
from moonx_pipeline.errors import OperatorError
from moonx_pipeline.events.publish import publish_pending
from moonx_pipeline.events.replay import replay_events
from moonx_pipeline.settings import Settings
from moonx_pipeline.settings.events import KafkaSettings
from moonx_pipeline_tests.fixtures.kafka import KafkaTopics
from moonx_pipeline_tests.support.outbox import consume, event, numbers_by_key, put
from moonx_pipeline_tests.support.packing import pack, put_old


@pytest.fixture
def kafka(kafka_topics: KafkaTopics) -> KafkaSettings:
    return Settings.from_environment(kafka_topics.environment).kafka


def test_replay_sends_packed_events_before_later_ones(engine: Engine, kafka: KafkaSettings) -> None:
    put_old(engine, *[event(key, number) for number in range(3) for key in ("ann", "bob")])
    assert pack(engine) == 6
    put(engine, event("ann", 3))

    assert replay_events(engine, kafka, since=utc_now() - timedelta(days=3)) == 7

    assert numbers_by_key(consume(kafka, 7)) == {"ann": [0, 1, 2, 3], "bob": [0, 1, 2]}


def test_replay_sends_kept_events_again_with_their_ids(engine: Engine, kafka: KafkaSettings) -> None:
    put(engine, event("ann", 1), event("bob", 2), event("ann", 3))
    publish_pending(engine, kafka, ["ann"])
    publish_pending(engine, kafka, ["bob"])
    with engine.connect() as connection:
        since = connection.exec_driver_sql("SELECT min(created_at) FROM outbox_events").scalar_one()

    assert replay_events(engine, kafka, since=since, user_id="ann") == 2

    records = consume(kafka, 5)
    assert numbers_by_key(records) == {"ann": [1, 3, 1, 3], "bob": [2]}
    assert len({json.loads(record.value)["eventId"] for record in records}) == 3


def test_replay_counts_what_the_broker_refuses_and_sends_the_rest(engine: Engine, kafka: KafkaSettings) -> None:
    put(engine, event("ann", 1), event("ann", 2, padding="x" * 1_100_000), event("ann", 3))
    publish_pending(engine, kafka, ["ann"])

    with pytest.raises(OperatorError, match=r"^1 of 3 events were refused.*max\.message\.bytes"):
        replay_events(engine, kafka, since=utc_now() - timedelta(days=1))

    assert numbers_by_key(consume(kafka, 4)) == {"ann": [1, 3, 1, 3]}
