"""A gateway once without Kafka and once with it: what clients see is the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from moonx_pipeline.domain.events import Event
from moonx_pipeline.events.publish import publish_pending
from moonx_pipeline.settings import Settings
from moonx_pipeline.settings.events import KafkaSettings
from moonx_pipeline_tests.fixtures.gateway import GatewayProcess, running_gateway
from moonx_pipeline_tests.fixtures.kafka import KafkaTopics
from moonx_pipeline_tests.support.live_events import tell


class Live(NamedTuple):
    """A gateway, and how events are told that it reads: each committed, and published where there is Kafka."""

    gateway: GatewayProcess
    tell: Callable[..., None]
    has_kafka: bool


def _tell(gateway: GatewayProcess, kafka: KafkaSettings, *events: Event) -> None:
    tell(gateway.engine, *events)
    publish_pending(gateway.engine, kafka)


@pytest.fixture(params=["outbox", "kafka"])
def live(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[Live]:
    environment: dict[str, str] = {}
    if request.param == "kafka":
        topics: KafkaTopics = request.getfixturevalue("kafka_topics")
        environment = topics.environment
    kafka = Settings.from_environment(environment).kafka
    with running_gateway(database_url, tmp_path, **environment) as gateway:
        yield Live(gateway, partial(_tell, gateway, kafka), bool(kafka.brokers))
