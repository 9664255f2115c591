"""Kafka that is silent: it keeps its connections, takes new ones, and answers nothing."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from sqlalchemy import Engine

from moonx_pipeline.events.brokers import why_unreachable
from moonx_pipeline.events.kafka import BrokerUnavailable, EventProducer
from moonx_pipeline.events.publish import DEADLINE_SECONDS, LEFT_ALONE_SECONDS, publish_pending
from moonx_pipeline.events.stream import KafkaStream, StreamUnavailable
from moonx_pipeline.settings import Settings
from moonx_pipeline.settings.events import KafkaSettings
from moonx_pipeline.simulator.server import free_port
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.syncs.outbox import SHARDS, lock_shards, unpublished
from moonx_pipeline_tests.fixtures.dagster import eventually
from moonx_pipeline_tests.fixtures.kafka import PASSWORD, PLAIN_USER, KafkaTopics
from moonx_pipeline_tests.support.outbox import consume, event, put, unpublished_count
from moonx_pipeline_tests.support.relays import running

USERS = [f"user{number}" for number in range(120)]
MARGIN_SECONDS = 1.0  # of a machine that does much else


@pytest.fixture
def environment(kafka_topics: KafkaTopics, request: pytest.FixtureRequest) -> dict[str, str]:
    """The topics, with the waits that are the defaults: what is promised is promised of them."""
    given = {name: value for name, value in kafka_topics.environment.items() if name != "KAFKA_REQUEST_TIMEOUT"}
    if getattr(request, "param", "plain") == "encrypted":
        given |= {
            "KAFKA_BROKERS": kafka_topics.broker.secure_bootstrap,
            "KAFKA_SSL": "true",
            "KAFKA_SSL_CA": kafka_topics.broker.authority,
            "KAFKA_SASL_USERNAME": PLAIN_USER,
            "KAFKA_SASL_PASSWORD": PASSWORD,
            "KAFKA_SASL_MECHANISM": "PLAIN",
        }
    return given


BOTH_DOORS = pytest.mark.parametrize("environment", ["plain", "encrypted"], indirect=True)


@pytest.fixture
def kafka(environment: dict[str, str]) -> KafkaSettings:
    return Settings.from_environment(environment).kafka


def producers() -> list[threading.Thread]:
    """The threads of the client's producers that live, and of those that are about to be connected."""
    return [thread for thread in threading.enumerate() if "network-thread" in thread.name or "kafka" in thread.name]


@pytest.fixture
def before() -> set[threading.Thread]:
    """Threads of others: each test that has published leaves its process's producer."""
    return set(producers())


def ended(before: set[threading.Thread]) -> None:
    assert set(producers()) - before == set()


def put_one_of_each(engine: Engine, number: int) -> None:
    """So much that every partition has several of the client's batches: one is on its way, and others wait for it."""
    events = [event(user, number, topic) for user in USERS for topic in ("sync.events", "portfolio.updates")]
    for told in events:
        told.payload["data"]["filling"] = os.urandom(1000).hex()
    put(engine, *events)


def numbers_of(kafka: KafkaSettings, count: int) -> dict[str, list[int]]:
    """What a consumer that leaves out what it knows sees of each user, in the order in which it arrived first."""
    seen: set[str] = set()
    numbers: dict[str, list[int]] = {user: [] for user in USERS}
    for record in consume(kafka, count):
        told = json.loads(record.value)
        if told["eventId"] not in seen:
            seen.add(told["eventId"])
            numbers[record.key.decode()].append(told["data"]["number"])
    return numbers


def published(engine: Engine) -> None:
    assert unpublished_count(engine) == 0


def free_shards(engine: Engine) -> int:
    with autocommit(engine) as other:
        try:
            return len(lock_shards(other, range(SHARDS)))
        finally:
            other.invalidate()


@BOTH_DOORS
def test_a_relay_notices_silence_gives_its_shards_up_and_goes_on_when_kafka_is_back(
    engine: Engine, kafka: KafkaSettings, kafka_topics: KafkaTopics, before: set[threading.Thread]
) -> None:
    with running(engine, kafka) as relay:
        put_one_of_each(engine, 0)
        eventually(lambda: published(engine))

        with kafka_topics.broker.frozen():
            for number in range(1, 4):
                put_one_of_each(engine, number)
            silent_since = time.monotonic()

            def noticed() -> None:
                assert relay.kafka_problem is not None
                assert free_shards(engine) == SHARDS

            eventually(noticed, seconds=60)
            assert time.monotonic() - silent_since < 10
            assert "does not answer in time" in (relay.kafka_problem or "")
            assert unpublished_count(engine) == 3 * 2 * len(USERS)
            assert len(set(producers()) - before) <= 2  # the one that connects, and its thread

        back_since = time.monotonic()
        eventually(lambda: published(engine), seconds=200)
        assert time.monotonic() - back_since < 10
        assert relay.kafka_problem is None

    eventually(lambda: ended(before), seconds=10)
    plain = Settings.from_environment(kafka_topics.environment).kafka
    assert numbers_of(plain, 4 * len(USERS)) == {user: [0, 1, 2, 3] for user in USERS}


def test_a_relay_that_is_told_to_stop_while_kafka_is_silent_ends(
    engine: Engine, database_url: str, environment: dict[str, str], kafka_topics: KafkaTopics, tmp_path: Path
) -> None:
    port = free_port()
    put_one_of_each(engine, 0)
    relay = subprocess.Popen(
        [sys.executable, "-m", "moonx_pipeline", "relay"],
        env={**os.environ, **environment, "DATABASE_URL": database_url, "RELAY_METRICS_PORT": str(port)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        eventually(lambda: published(engine), seconds=60)
        with kafka_topics.broker.frozen():
            put_one_of_each(engine, 1)

            def unhealthy() -> None:
                assert requests.get(f"http://127.0.0.1:{port}/health/ready", timeout=5).status_code == 503

            since = time.monotonic()
            eventually(unhealthy, seconds=60)
            assert time.monotonic() - since < 10

            relay.send_signal(signal.SIGTERM)
            since = time.monotonic()
            said, logged = relay.communicate(timeout=30)
            assert time.monotonic() - since < 10
    finally:
        relay.kill()
        relay.wait()
    assert (relay.returncode, "Stopped" in said) == (0, True)
    assert "Traceback" not in logged
    assert "does not answer in time" in logged


def test_a_sync_waits_once_for_silent_kafka_and_no_longer_than_its_deadline(
    engine: Engine, kafka: KafkaSettings, kafka_topics: KafkaTopics, before: set[threading.Thread]
) -> None:
    put_one_of_each(engine, 0)
    assert publish_pending(engine, kafka).problem is None

    with kafka_topics.broker.frozen():
        for number in range(1, 4):
            put_one_of_each(engine, number)
        since = time.monotonic()
        outcome = publish_pending(engine, kafka, USERS)
        seconds = time.monotonic() - since
        assert "does not answer in time" in (outcome.problem or "")
        assert seconds < DEADLINE_SECONDS + MARGIN_SECONDS
        assert free_shards(engine) == SHARDS

        since = time.monotonic()
        assert publish_pending(engine, kafka, ["user1"]).problem == outcome.problem
        assert time.monotonic() - since < MARGIN_SECONDS
        eventually(lambda: ended(before), seconds=5)

    def sent() -> None:
        assert publish_pending(engine, kafka).problem is None

    eventually(sent, seconds=LEFT_ALONE_SECONDS, pause=0.2)
    published(engine)
    assert numbers_of(kafka, 4 * len(USERS)) == {user: [0, 1, 2, 3] for user in USERS}


@BOTH_DOORS
def test_the_first_sync_of_a_process_waits_no_longer(
    engine: Engine, kafka: KafkaSettings, kafka_topics: KafkaTopics, before: set[threading.Thread]
) -> None:
    put_one_of_each(engine, 0)
    with kafka_topics.broker.frozen():
        since = time.monotonic()
        outcome = publish_pending(engine, kafka)

        assert time.monotonic() - since < DEADLINE_SECONDS + MARGIN_SECONDS
    assert "does not answer in time" in (outcome.problem or "")
    assert unpublished_count(engine) == 2 * len(USERS)
    eventually(lambda: ended(before), seconds=10)


def test_kafka_that_is_silent_before_it_has_named_a_topic_is_not_waited_for(
    engine: Engine, kafka: KafkaSettings, kafka_topics: KafkaTopics, before: set[threading.Thread]
) -> None:
    put_one_of_each(engine, 0)
    producer = EventProducer(kafka)
    with kafka_topics.broker.frozen(), engine.connect() as connection:
        since = time.monotonic()
        acknowledged, failed = producer.send(unpublished(connection, range(SHARDS), 1), seconds=2)
        producer.close()

        assert time.monotonic() - since < 2 + MARGIN_SECONDS
    assert (acknowledged, [type(error) for error in failed.values()]) == ([], [BrokerUnavailable])
    eventually(lambda: ended(before), seconds=5)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "encrypted"])
def test_a_broker_that_is_silent_does_not_count_as_reached(kafka_topics: KafkaTopics, secure: bool) -> None:
    broker = kafka_topics.broker
    encryption = {"KAFKA_SSL": "true", "KAFKA_SSL_CA": broker.authority} if secure else {}
    address = broker.secure_bootstrap if secure else broker.bootstrap
    kafka = Settings.from_environment({"KAFKA_BROKERS": address, **encryption}).kafka
    assert why_unreachable(kafka) is None

    with broker.frozen():
        since = time.monotonic()
        assert "No broker answers" in (why_unreachable(kafka) or "")
        assert time.monotonic() - since < kafka.connection_timeout_ms / 1000 + MARGIN_SECONDS


class Heard(logging.Handler):
    """Keeps the names of loggers whose lines reach the process's log. Not caplog: it hears what is kept out, too."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.names.add(record.name)


@pytest.fixture
def heard() -> Iterator[Heard]:
    root, heard = logging.getLogger(), Heard()
    level = root.level
    root.addHandler(heard)
    root.setLevel(logging.DEBUG)
    yield heard
    root.setLevel(level)
    root.removeHandler(heard)


def test_the_clients_own_lines_stay_out_of_the_log(
    kafka: KafkaSettings, kafka_topics: KafkaTopics, heard: Heard
) -> None:
    with kafka_topics.broker.frozen(), pytest.raises(BrokerUnavailable):
        EventProducer(kafka, connect_seconds=1)

    assert {name for name in heard.names if name.startswith("kafka")} == set()


@pytest.mark.parametrize("environment", ["encrypted"], indirect=True)
def test_a_reader_gives_a_broker_up_that_is_silent_while_encryption_begins(
    kafka: KafkaSettings, kafka_topics: KafkaTopics, before: set[threading.Thread]
) -> None:
    with kafka_topics.broker.frozen():
        since = time.monotonic()
        with pytest.raises(StreamUnavailable, match="does not answer in time"):
            KafkaStream(kafka).open()

        assert time.monotonic() - since < (kafka.connection_timeout_ms + kafka.request_timeout_ms) / 1000 + 1
        eventually(lambda: ended(before), seconds=5)
