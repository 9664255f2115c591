"""The stream that consumers read, from the outbox and from Kafka."""

import threading
import time
from decimal import Decimal
from itertools import islice

import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from sqlalchemy import Engine, create_engine

from moonx_pipeline.errors import OperatorError
from moonx_pipeline.events.publish import publish_pending
from moonx_pipeline.events.stream import (
    KafkaStream,
    OutboxStream,
    StreamUnavailable,
    event_stream,
)
from moonx_pipeline.settings import Settings
from moonx_pipeline.settings.events import KafkaSettings
from moonx_pipeline.simulator.server import free_port
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.syncs.event_reads import OLDEST, Position, newest, read_after
from moonx_pipeline.storage.syncs.outbox import insert_events
from moonx_pipeline_tests.fixtures.database import cut_connections
from moonx_pipeline_tests.fixtures.kafka import KafkaTopics
from moonx_pipeline_tests.support.outbox import event, put
from moonx_pipeline_tests.support.streams import opened, versions


@pytest.fixture
def kafka(kafka_topics: KafkaTopics) -> KafkaSettings:
    return Settings.from_environment(kafka_topics.environment).kafka


def test_a_commit_that_comes_late_is_delivered_and_nothing_twice(engine: Engine) -> None:
    with opened(OutboxStream(engine)) as take, engine.connect() as slow:
        transaction = slow.begin()
        insert_events(slow, [event("ann", 1)])  # takes its number first, and commits last
        put(engine, event("bob", 2))
        early = take(1)
        transaction.commit()
        put(engine, event("bob", 3))

        assert [(e.key, e.value["version"]) for e in [*early, *take(2)]] == [("bob", 2), ("ann", 1), ("bob", 3)]
        put(engine, event("bob", 4))
        assert versions(take(1), "bob") == [4]


def test_a_transaction_that_is_open_elsewhere_delays_nobody(engine: Engine, postgres_server: str) -> None:
    elsewhere = create_engine(postgres_server)
    with opened(OutboxStream(engine)) as take, elsewhere.connect() as other, engine.connect() as own:
        other.exec_driver_sql("SELECT pg_current_xact_id()")
        own.exec_driver_sql("SELECT pg_current_xact_id()")
        put(engine, event("ann", 1))
        put(engine, event("ann", 2))

        assert versions(take(2)) == [1, 2]
    elsewhere.dispose()


def test_the_order_of_a_user_is_kept_when_an_older_transaction_commits_later(engine: Engine) -> None:
    with opened(OutboxStream(engine)) as take, engine.connect() as sweep:
        transaction = sweep.begin()
        insert_events(sweep, [event("bob", 1)])  # has its transaction before ann's is known
        put(engine, event("ann", 1))
        insert_events(sweep, [event("ann", 2)])  # after it has waited for ann's lock
        transaction.commit()
        put(engine, event("ann", 3))

        found = take(4)

    assert versions(found) == [1, 2, 3]
    assert versions(found, "bob") == [1]


def test_a_look_costs_what_is_new_and_not_what_was_seen_behind_an_old_transaction(engine: Engine) -> None:
    with engine.connect() as old, autocommit(engine) as reader:
        old.exec_driver_sql("SELECT pg_current_xact_id()")
        position = newest(reader)
        put(engine, *[event("ann", number) for number in range(20)])
        rows, position = read_after(reader, position, 100)
        again, position = read_after(reader, position, 100)
        put(engine, event("ann", 20))
        new, position = read_after(reader, position, 100)

    assert ([row.version for row in rows], again, [row.version for row in new]) == (list(range(20)), [], [20])


def test_pages_neither_repeat_nor_leave_out_what_is_committed_between_them(engine: Engine) -> None:
    with engine.connect() as slow, autocommit(engine) as reader:
        transaction = slow.begin()
        insert_events(slow, [event("late", 1)])  # its number is behind all pages, its commit between them
        put(engine, *[event("ann", number) for number in range(5)])
        first, position = read_after(reader, OLDEST, 2)
        transaction.commit()
        put(engine, event("ann", 5))
        pages = [first]
        for _ in range(5):
            rows, position = read_after(reader, position, 2)
            pages.append(rows)

    keys = [(row.key, row.version) for page in pages for row in page]
    assert keys == [*[("ann", number) for number in range(5)], ("late", 1), ("ann", 5)]


def test_after_a_break_of_its_connection_the_outbox_stream_goes_on_where_it_was(engine: Engine) -> None:
    stream = OutboxStream(engine)
    with opened(stream) as take:
        assert stream.has_skipped()
        put(engine, event("ann", 1))
        assert versions(take(1)) == [1]
        cut_connections(engine)
        with pytest.raises(StreamUnavailable):
            stream.read(10)
        put(engine, event("ann", 2))

        assert versions(take(1)) == [2]
        assert not stream.has_skipped()


def test_on_a_server_that_lost_transactions_it_goes_on_at_the_newest_and_says_so(engine: Engine) -> None:
    stream = OutboxStream(engine)
    stream._position = Position("999999999:999999999:")
    with opened(stream) as take:
        put(engine, event("ann", 1))
        assert versions(take(1)) == [1]
        assert stream.has_skipped()


def test_a_follower_of_the_outbox_sees_what_is_committed_while_it_waits(engine: Engine) -> None:
    put(engine, event("ann", 1))
    stop = threading.Event()
    stream = event_stream(engine, KafkaSettings(), from_beginning=True, stop=stop)
    assert next(stream).value["version"] == 1
    writer = threading.Thread(target=put, args=(engine, event("ann", 2)))
    writer.start()

    assert next(stream).value["version"] == 2

    writer.join()
    stop.set()
    assert list(stream) == []


def test_kept_events_are_left_out_unless_asked_for(engine: Engine) -> None:
    put(engine, event("ann", 1))

    def read(*, from_beginning: bool) -> list[int]:
        return versions(list(event_stream(engine, KafkaSettings(), from_beginning=from_beginning, until_idle=True)))

    assert (read(from_beginning=False), read(from_beginning=True)) == ([], [1])


def test_without_kafka_the_stream_is_the_outbox(engine: Engine) -> None:
    put(engine, event("ann", 1), event("bob", 2, topic="portfolio.updates"))

    stream = event_stream(engine, KafkaSettings(), from_beginning=True, until_idle=True)

    assert [(e.topic, e.key) for e in stream] == [("sync.events", "ann"), ("portfolio.updates", "bob")]


def test_numbers_of_events_are_exact(engine: Engine, kafka: KafkaSettings) -> None:
    exact = event("ann", 1)
    exact.payload["data"]["totalValueUsd"] = Decimal("12345678901234567890.123456789012345678")
    put(engine, exact)
    publish_pending(engine, kafka, ["ann"])

    for settings in (KafkaSettings(), kafka):
        (found,) = islice(event_stream(engine, settings, from_beginning=True), 1)
        assert found.value == exact.payload


def test_with_kafka_the_stream_is_kafka(engine: Engine, kafka: KafkaSettings) -> None:
    put(engine, event("ann", 1), event("ann", 2, topic="portfolio.updates"))
    publish_pending(engine, kafka, ["ann"])

    stream = event_stream(engine, kafka, from_beginning=True)

    assert {(e.topic, e.key, e.value["version"]) for e in islice(stream, 2)} == {
        ("sync.events", "ann", 1),
        ("portfolio.updates", "ann", 2),
    }


def test_after_a_break_of_the_broker_the_kafka_stream_goes_on_where_it_was(
    engine: Engine, kafka: KafkaSettings, kafka_topics: KafkaTopics
) -> None:
    stream = KafkaStream(kafka)
    with opened(stream) as take:
        assert stream.has_skipped()
        put(engine, event("ann", 1))
        publish_pending(engine, kafka, ["ann"])
        assert versions(take(1)) == [1]
        put(engine, event("ann", 2))
        publish_pending(engine, kafka, ["ann"])  # there before the break, and not read yet
        kafka_topics.broker.stop()
        stream.close()
        with pytest.raises(StreamUnavailable):
            stream.open()
        kafka_topics.broker.start()
        put(engine, event("ann", 3))
        publish_pending(engine, kafka, ["ann"])

        assert versions(take(2)) == [2, 3]
        assert not stream.has_skipped()


def test_an_idle_kafka_stream_notices_that_the_broker_is_gone(kafka: KafkaSettings, kafka_topics: KafkaTopics) -> None:
    stream = KafkaStream(kafka)
    with opened(stream):
        kafka_topics.broker.stop()
        try:
            with pytest.raises(StreamUnavailable):
                _read_on(stream)
        finally:
            kafka_topics.broker.start()


def _read_on(stream: KafkaStream) -> None:
    for _ in range(60):
        stream.read(0.5)


def test_topics_that_are_made_later_are_read_from_their_beginning(engine: Engine, kafka_topics: KafkaTopics) -> None:
    later = {
        name: f"later.{topic}" if name.startswith("KAFKA_TOPIC") else topic
        for name, topic in kafka_topics.environment.items()
    }
    kafka = Settings.from_environment(later).kafka
    with pytest.raises(OperatorError, match="none of the topics"):
        next(event_stream(engine, kafka))
    with opened(KafkaStream(kafka)) as take:
        admin = KafkaAdminClient(bootstrap_servers=list(kafka.brokers))
        admin.create_topics([NewTopic(kafka.topic_sync_events, num_partitions=2, replication_factor=1)])
        admin.close()
        put(engine, event("ann", 1))
        publish_pending(engine, kafka, ["ann"])

        assert versions(take(1)) == [1]


def test_where_the_kept_offsets_are_gone_it_takes_up_at_the_newest_and_says_so(
    engine: Engine, kafka: KafkaSettings
) -> None:
    stream = KafkaStream(kafka)
    with opened(stream) as take:
        assert stream.has_skipped()
        put(engine, *[event("ann", number) for number in range(3)])
        publish_pending(engine, kafka, ["ann"])
        assert len(take(3)) == 3
        _make_anew(kafka, kafka.topic_sync_events)
        for _ in range(60):
            try:
                stream.read(0.5)
            except StreamUnavailable:
                continue
            if stream.has_skipped():
                break
        put(engine, event("ann", 4))
        publish_pending(engine, kafka, ["ann"])

        assert versions(take(1)) == [4]


def _make_anew(kafka: KafkaSettings, topic: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=list(kafka.brokers))
    admin.delete_topics([topic])
    while topic in admin.list_topics():
        time.sleep(0.05)
    admin.create_topics([NewTopic(topic, num_partitions=3, replication_factor=1)])
    admin.close()


def test_a_broker_that_is_away_is_said_in_one_sentence_and_leaves_no_threads(engine: Engine) -> None:
    port = free_port()
    kafka = Settings.from_environment({"KAFKA_BROKERS": f"127.0.0.1:{port}", "KAFKA_REQUEST_TIMEOUT": "100"}).kafka
    before = threading.active_count()

    with pytest.raises(OperatorError, match=f"127.0.0.1:{port} can't be read: .* check KAFKA_BROKERS"):
        next(event_stream(engine, kafka))

    assert threading.active_count() == before
