"""Kafka with three brokers, of which the one that leads goes away: another leads, and events go on in order."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from kafka import KafkaAdminClient
from sqlalchemy import Engine

from moonx_pipeline.domain.event_types import TOPIC_NAMES
from moonx_pipeline.settings import Settings
from moonx_pipeline.settings.events import KafkaSettings
from moonx_pipeline_tests.fixtures.dagster import eventually
from moonx_pipeline_tests.fixtures.kafka import KafkaBroker, running_cluster
from moonx_pipeline_tests.support.outbox import consume, event, put, unpublished_count
from moonx_pipeline_tests.support.relays import running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

USERS = [f"user{number}" for number in range(30)]
_ELECTED_SECONDS = 90
"""A silent broker is given up after nine seconds; the rest is for a machine that does much else."""


@pytest.fixture(scope="module")
def brokers() -> Iterator[list[KafkaBroker]]:
    with running_cluster({}, {}, {}) as cluster:
        cluster[0].create_topics(TOPIC_NAMES)
        yield cluster


@pytest.fixture(scope="module")
def kafka(brokers: list[KafkaBroker]) -> KafkaSettings:
    return Settings.from_environment({"KAFKA_BROKERS": ",".join(broker.bootstrap for broker in brokers)}).kafka


def leader(kafka: KafkaSettings, brokers: list[KafkaBroker]) -> KafkaBroker:
    """The broker that leads the first partition of the topic of syncs."""
    admin = KafkaAdminClient(bootstrap_servers=list(kafka.brokers))
    (topic,) = admin.describe_topics(["sync.events"])
    admin.close()
    (first,) = (one for one in topic["partitions"] if one["partition_index"] == 0)
    return brokers[first["leader_id"] - 1]


def put_one_of_each(engine: Engine, number: int) -> None:
    put(engine, *(event(user, number) for user in USERS))


def published(engine: Engine) -> None:
    assert unpublished_count(engine) == 0


def test_events_go_on_in_order_by_whoever_leads_now(
    engine: Engine, kafka: KafkaSettings, brokers: list[KafkaBroker]
) -> None:
    with running(engine, kafka):
        put_one_of_each(engine, 0)
        eventually(lambda: published(engine), seconds=_ELECTED_SECONDS)

        gone = leader(kafka, brokers)
        gone.stop()
        put_one_of_each(engine, 1)
        eventually(lambda: published(engine), seconds=_ELECTED_SECONDS)
        gone.start()

        with leader(kafka, brokers).frozen():
            put_one_of_each(engine, 2)
            eventually(lambda: published(engine), seconds=_ELECTED_SECONDS)

    numbers: dict[str, list[int]] = {user: [] for user in USERS}
    for record in consume(kafka, 3 * len(USERS)):
        told = json.loads(record.value)["data"]["number"]
        if told not in numbers[record.key.decode()]:
            numbers[record.key.decode()].append(told)
    assert numbers == {user: [0, 1, 2] for user in USERS}
