"""Brokers as clusters have them: with users, encryption, and topics of any compression."""

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from moonx_pipeline.errors import OperatorError
from moonx_pipeline.events.brokers import why_refused
from moonx_pipeline.events.publish import publish_pending
from moonx_pipeline.events.stream import KafkaStream, StreamUnavailable
from moonx_pipeline.settings import Settings
from moonx_pipeline.settings.events import KafkaSettings
from moonx_pipeline.simulator.server import free_port, listening_socket
from moonx_pipeline_tests.fixtures.kafka import PASSWORD, PLAIN_USER, KafkaBroker, KafkaTopics
from moonx_pipeline_tests.support.outbox import event, put, unpublished_count
from moonx_pipeline_tests.support.streams import opened, versions


def settings(topics: KafkaTopics, **more: str) -> KafkaSettings:
    return Settings.from_environment({**topics.environment, **more}).kafka


@pytest.fixture
def secure(kafka_topics: KafkaTopics) -> KafkaTopics:
    """The broker's other door; its certificate is of an authority of its owner's."""
    kafka_topics.environment |= {
        "KAFKA_BROKERS": kafka_topics.broker.secure_bootstrap,
        "KAFKA_REQUEST_TIMEOUT": "1000",
        "KAFKA_SSL": "true",
        "KAFKA_SSL_CA": kafka_topics.broker.authority,
    }
    return kafka_topics


def user(name: str, password: str, mechanism: str = "SCRAM-SHA-512") -> dict[str, str]:
    return {"KAFKA_SASL_USERNAME": name, "KAFKA_SASL_PASSWORD": password, "KAFKA_SASL_MECHANISM": mechanism}


@pytest.fixture
def scram_users(kafka_server: KafkaBroker) -> Iterator[tuple[str, str]]:
    names = ("relay-a", "relay-b")
    for name in names:
        kafka_server.set_scram_user(name, f"{PASSWORD} of {name}")
    yield names
    kafka_server.remove_scram_user(names[1])  # the first is removed by the test


def passes(engine: Engine, kafka: KafkaSettings, version: int) -> None:
    """An event goes out, and a consumer with the same settings has it."""
    with opened(KafkaStream(kafka)) as take:
        put(engine, event("ann", version))
        outcome = publish_pending(engine, kafka)
        assert (outcome.published, outcome.problem) == (1, None)
        assert versions(take(1)) == [version]


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd", "none"])
def test_events_pass_in_every_compression(engine: Engine, kafka_topics: KafkaTopics, compression: str) -> None:
    passes(engine, settings(kafka_topics, KAFKA_COMPRESSION=compression), 1)


def test_events_pass_an_encrypted_door_with_a_plain_password(engine: Engine, secure: KafkaTopics) -> None:
    passes(engine, settings(secure, **user(PLAIN_USER, PASSWORD, "PLAIN")), 1)


def test_users_take_turns_and_no_event_is_lost(
    engine: Engine, secure: KafkaTopics, scram_users: tuple[str, str]
) -> None:
    first, second = (settings(secure, **user(name, f"{PASSWORD} of {name}")) for name in scram_users)
    passes(engine, first, 1)
    passes(engine, second, 2)
    secure.broker.remove_scram_user(scram_users[0])
    passes(engine, second, 3)


def refused(engine: Engine, kafka: KafkaSettings) -> str:
    """What is said of an event that does not go out; it waits."""
    put(engine, event("ann", 1))
    outcome = publish_pending(engine, kafka)
    assert (outcome.published, unpublished_count(engine)) == (0, 1)
    assert outcome.problem is not None
    assert outcome.problem.startswith(f"Kafka at {kafka.brokers[0]} takes no events, they wait in the outbox: ")
    return outcome.problem


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_a_wrong_password_is_said(engine: Engine, secure: KafkaTopics, mechanism: str) -> None:
    assert "KAFKA_SASL_PASSWORD" in refused(engine, settings(secure, **user(PLAIN_USER, "wrong", mechanism)))


def test_a_broker_is_tried_as_its_clients_come_to_it(secure: KafkaTopics) -> None:
    broker = secure.broker.secure_bootstrap

    assert why_refused(broker, settings(secure, **user(PLAIN_USER, PASSWORD, "PLAIN")), 2) is None
    assert "KAFKA_SASL_PASSWORD" in (why_refused(broker, settings(secure, **user(PLAIN_USER, "wrong")), 2) or "")
    assert "nothing listens there" in (why_refused(f"127.0.0.1:{free_port()}", settings(secure), 2) or "")


def test_a_broker_that_is_silent_is_given_up_in_time(secure: KafkaTopics) -> None:
    with listening_socket(free_port()) as silent:
        host, port = silent.getsockname()
        started = time.monotonic()

        assert "does not answer in time" in (why_refused(f"{host}:{port}", settings(secure), 1) or "")

    assert time.monotonic() - started < 3


def test_an_unknown_authority_is_said(engine: Engine, secure: KafkaTopics) -> None:
    unknown = settings(secure, KAFKA_SSL_CA="", **user(PLAIN_USER, PASSWORD, "PLAIN"))
    assert "KAFKA_SSL_CA" in refused(engine, unknown)


def test_what_is_no_certificate_is_refused_with_what_to_write(kafka_topics: KafkaTopics) -> None:
    with pytest.raises(OperatorError, match=r"KAFKA_SSL_CA must be certificates .* not a file's name"):
        settings(kafka_topics, KAFKA_SSL_CA="/etc/ssl/ours.pem")


def test_what_is_not_as_encrypted_as_the_settings_say_is_said(engine: Engine, kafka_topics: KafkaTopics) -> None:
    assert "does not encrypt" in refused(engine, settings(kafka_topics, KAFKA_SSL="true"))


def test_a_reader_is_told_the_same(secure: KafkaTopics) -> None:
    with pytest.raises(StreamUnavailable, match=r"can't be read: .*KAFKA_SSL"):
        KafkaStream(settings(secure, KAFKA_SSL="false")).open()
