"""What a relay tells of itself: what went to Kafka, and whether Kafka takes it."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from sqlalchemy import Engine

from moonx_pipeline.simulator.server import free_port
from moonx_pipeline_tests.fixtures.dagster import ROOT, eventually
from moonx_pipeline_tests.fixtures.database import as_role
from moonx_pipeline_tests.fixtures.kafka import KafkaTopics
from moonx_pipeline_tests.support.forked import run_module, start_module
from moonx_pipeline_tests.support.outbox import event, put
from moonx_pipeline_tests.support.samples import samples


@contextmanager
def relay(database_url: str, topics: KafkaTopics, port: int) -> Iterator[str]:
    """A ``moonx relay`` as a process of its own; where it serves."""
    environment = {**os.environ, **topics.environment, "DATABASE_URL": as_role(database_url, "moonx_relay")} | {
        "RELAY_METRICS_PORT": str(port)
    }
    output = sys.__stderr__
    process = start_module("moonx_pipeline", "relay", env=environment, cwd=ROOT, stdout=output, stderr=output)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def test_what_kafka_takes_and_does_not_take_is_counted_and_told(
    engine: Engine, database_url: str, kafka_topics: KafkaTopics
) -> None:
    with relay(database_url, kafka_topics, free_port()) as url:
        put(engine, *(event("ann", number) for number in range(5)))

        def published() -> None:
            found = samples(url)
            assert found.total("kafka_events_published_total", topic="sync.events") == 5
            assert found.total("kafka_publish_duration_seconds_count") == 5
            assert found.total("kafka_publish_errors_total") == 0

        eventually(published)

        def ready() -> None:
            answer = requests.get(f"{url}/health/ready", timeout=5)
            assert (answer.status_code, sorted(answer.json()["dependencies"])) == (200, ["database", "kafka"])

        eventually(ready)

        kafka_topics.broker.stop()
        try:
            put(engine, event("ann", 5))

            def away() -> None:
                answer = requests.get(f"{url}/health/ready", timeout=5)
                assert (answer.status_code, answer.json()["dependencies"]["kafka"]["ok"]) == (503, False)
                assert samples(url).total("kafka_publish_errors_total", reason="unavailable") > 0

            eventually(away)
        finally:
            kafka_topics.broker.start()

        def back() -> None:
            assert requests.get(f"{url}/health/ready", timeout=5).status_code == 200
            assert samples(url).total("kafka_events_published_total", topic="sync.events") == 6

        eventually(back)


def test_a_port_that_is_taken_is_named_with_its_setting(
    database_url: str, kafka_topics: KafkaTopics, tmp_path: Path
) -> None:
    port = free_port()
    with relay(database_url, kafka_topics, port) as url:
        eventually(lambda: requests.get(f"{url}/health/live", timeout=5))
        environment = {**os.environ, **kafka_topics.environment, "DATABASE_URL": as_role(database_url, "moonx_relay")}
        environment["RELAY_METRICS_PORT"] = str(port)
        second = run_module("moonx_pipeline", "relay", env=environment, cwd=tmp_path)

    assert second.returncode == 1
    assert f"127.0.0.1:{port}" in second.stderr
    assert "set RELAY_METRICS_PORT" in second.stderr
