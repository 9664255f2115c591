"""Faults of Kafka that are more than a signal or a link: topics, logins, and brokers that lead in another's place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Final

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from moonx_pipeline.domain.event_types import PORTFOLIO_UPDATES, SYSTEM_ALERTS
from moonx_pipeline_tests.chaos.reading import POISON
from moonx_pipeline_tests.chaos.rig import KAFKA_USER, Rig
from moonx_pipeline_tests.fixtures.dagster import eventually
from moonx_pipeline_tests.fixtures.kafka import PASSWORD, KafkaBroker
from moonx_pipeline_tests.support.outbox import event, put

if TYPE_CHECKING:
    from moonx_pipeline_tests.chaos.rounds import Chaos

_LINKS: Final = ("worker-kafka", "relay-kafka", "gateway-kafka")


@contextmanager
def topic_missing(chaos: Chaos) -> Iterator[None]:
    """The topic of alerts is gone while an alert waits for it."""
    topic = SYSTEM_ALERTS.name
    chaos.recorder.topics.read()
    admin = KafkaAdminClient(bootstrap_servers=chaos.rig.bootstrap)
    admin.delete_topics([topic])
    admin.close()
    put(chaos.rig.engine, event(POISON, 1, topic))
    try:
        yield
    finally:
        chaos.recorder.topics.forget(topic)
        eventually(lambda: _create(chaos, topic))


def _create(chaos: Chaos, topic: str) -> None:
    try:
        chaos.rig.kafka.create_topics((topic,))
    except KafkaError as problem:  # it is still being deleted
        raise AssertionError(str(problem)) from None


@contextmanager
def password_refused(chaos: Chaos) -> Iterator[None]:
    """The password of all parts is another one, and each has to sign in anew."""
    chaos.rig.kafka.set_scram_user(KAFKA_USER, "another password")
    for name in _LINKS:
        chaos.rig.links[name].reset()
    try:
        yield
    finally:
        chaos.rig.kafka.set_scram_user(KAFKA_USER, PASSWORD)


# A cluster


def _leader(rig: Rig) -> KafkaBroker:
    """The broker that leads a partition of portfolios."""
    admin = KafkaAdminClient(bootstrap_servers=rig.bootstrap)
    try:
        (topic,) = admin.describe_topics([PORTFOLIO_UPDATES.name])
        return rig.brokers[topic["partitions"][0]["leader_id"] - 1]
    finally:
        admin.close()


@contextmanager
def leader_frozen(chaos: Chaos) -> Iterator[None]:
    with _leader(chaos.rig).frozen():
        yield


def killed(count: int) -> Callable[[Chaos], AbstractContextManager[None]]:
    """The end of the leader, and of so many brokers in all; with two of three nobody may acknowledge an event."""

    @contextmanager
    def fault(chaos: Chaos) -> Iterator[None]:
        leader = _leader(chaos.rig)
        gone = [leader, *(one for one in chaos.rig.brokers if one is not leader)][:count]
        for broker in gone:
            broker.stop()
        try:
            yield
        finally:
            for broker in gone:
                broker.start()
            chaos.rig.kafka.wait_for(len(chaos.rig.brokers))

    return fault


@contextmanager
def restarted_in_turn(chaos: Chaos) -> Iterator[None]:
    """Every broker is restarted in order, one after the other, as for an upgrade."""
    for broker in chaos.rig.brokers:
        broker.shut_down()
        broker.start()
        chaos.rig.kafka.wait_for(len(chaos.rig.brokers))
    yield
