"""The stream that consumers read, from the outbox and from Kafka."""

import threading
from itertools import islice

from sqlalchemy import Engine

from moonx_pipeline.events.publish import publish_pending
from moonx_pipeline.events.stream import event_stream, outbox_stream
from moonx_pipeline.settings import Settings
from moonx_pipeline.settings.events import KafkaSettings
from moonx_pipeline.storage.outbox import BEGINNING, Cursor, insert_events, read_after
from moonx_pipeline_tests.events.acts import event, put
from moonx_pipeline_tests.fixtures.kafka import KafkaTopics


def test_a_commit_that_comes_late_is_not_missed(engine: Engine) -> None:
    late, early = event("ann", 1), event("bob", 2)
    with engine.connect() as slow:
        transaction = slow.begin()
        insert_events(slow, [late])  # takes its number first, and commits last
        put(engine, early)
        with engine.connect() as reader:
            before = read_after(reader, BEGINNING, 10)
        transaction.commit()
    with engine.connect() as reader:
        cursor = Cursor(before[-1].tx, before[-1].seq) if before else BEGINNING
        after = read_after(reader, cursor, 10)

    assert [row.id for row in [*before, *after]] == [late.id, early.id]


def test_a_follower_of_the_outbox_sees_what_is_committed_while_it_waits(engine: Engine) -> None:
    put(engine, event("ann", 1))
    stop = threading.Event()
    stream = outbox_stream(engine, from_beginning=True, stop=stop)
    assert next(stream).value["version"] == 1
    writer = threading.Thread(target=put, args=(engine, event("ann", 2)))
    writer.start()

    assert next(stream).value["version"] == 2

    writer.join()
    stop.set()
    stream.close()


def test_kept_events_are_left_out_unless_asked_for(engine: Engine) -> None:
    put(engine, event("ann", 1))

    assert [e.value["version"] for e in outbox_stream(engine, from_beginning=False, until_idle=True)] == []
    assert [e.value["version"] for e in outbox_stream(engine, from_beginning=True, until_idle=True)] == [1]


def test_without_kafka_the_stream_is_the_outbox(engine: Engine) -> None:
    put(engine, event("ann", 1), event("bob", 2, topic="portfolio.updates"))

    stream = event_stream(engine, KafkaSettings(), from_beginning=True, until_idle=True)

    assert [(e.topic, e.key) for e in stream] == [("sync.events", "ann"), ("portfolio.updates", "bob")]


def test_with_kafka_the_stream_is_kafka(engine: Engine, kafka_topics: KafkaTopics) -> None:
    kafka = Settings.from_environment(kafka_topics.environment).kafka
    put(engine, event("ann", 1), event("ann", 2, topic="portfolio.updates"))
    publish_pending(engine, kafka, ["ann"])

    stream = event_stream(engine, kafka, from_beginning=True)

    assert {(e.topic, e.key, e.value["version"]) for e in islice(stream, 2)} == {
        ("sync.events", "ann", 1),
        ("portfolio.updates", "ann", 2),
    }
