"""The relay against Apache Kafka."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Engine
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from moonx_pipeline.events.publish import publish_pending
from moonx_pipeline.settings import Settings
from moonx_pipeline.settings.events import KafkaSettings
from moonx_pipeline.storage.connection.engine import open_engine
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.syncs.outbox import SHARDS, lock_shards
from moonx_pipeline_tests.fixtures.dagster import eventually
from moonx_pipeline_tests.fixtures.database import cut_connections
from moonx_pipeline_tests.fixtures.kafka import KafkaTopics
from moonx_pipeline_tests.support.database_proxy import database_proxy
from moonx_pipeline_tests.support.forked import start_module
from moonx_pipeline_tests.support.outbox import consume, event, numbers_by_key, put, unpublished_count
from moonx_pipeline_tests.support.relays import running


@pytest.fixture
def kafka(kafka_topics: KafkaTopics) -> KafkaSettings:
    return Settings.from_environment(kafka_topics.environment).kafka


@retry(retry=retry_if_exception_type(AssertionError), wait=wait_fixed(0.05), stop=stop_after_delay(60), reraise=True)
def until_published(engine: Engine) -> None:
    assert unpublished_count(engine) == 0


def test_each_event_arrives_with_its_headers_key_and_exact_json(engine: Engine, kafka: KafkaSettings) -> None:
    sent = event("ann", 1)
    put(engine, sent)

    with running(engine, kafka):
        until_published(engine)

    (record,) = consume(kafka, 1)
    headers = {name: value.decode() for name, value in record.headers}
    assert (record.key, json.loads(record.value)) == (b"ann", sent.payload)
    assert headers["ce_id"] == str(sent.id)
    assert (headers["ce_type"], headers["ce_source"]) == ("sync.started", "moonx-pipeline")
    assert (headers["ce_specversion"], headers["ce_subject"]) == ("1.0", "ann")
    assert headers["content-type"] == "application/json"
    assert headers["ce_time"].endswith("Z")


def test_the_order_of_every_user_is_kept_while_many_write_at_once(engine: Engine, kafka: KafkaSettings) -> None:
    users = [f"user{n}" for n in range(6)]

    def write(user: str) -> None:
        for number in range(30):
            put(engine, event(user, number))

    with running(engine, kafka):
        writers = [threading.Thread(target=write, args=(user,)) for user in users]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        until_published(engine)

    assert numbers_by_key(consume(kafka, 180)) == {user: list(range(30)) for user in users}


def test_events_flow_again_after_the_session_with_the_locks_is_lost(
    engine: Engine, kafka: KafkaSettings, database_url: str
) -> None:
    with database_proxy(database_url) as proxy:
        behind = open_engine(proxy.url.render_as_string(hide_password=False))
        with running(behind, kafka):
            put(engine, event("ann", 1))
            until_published(engine)
            proxy.lose_connections()
            began = time.monotonic()
            put(engine, event("ann", 2))
            until_published(engine)
            assert time.monotonic() - began < 15
        behind.dispose()

    assert numbers_by_key(consume(kafka, 2)) == {"ann": [1, 2]}


def waits_for_events(engine: Engine) -> None:
    """A relay has looked for events, found none, and listens."""
    with engine.connect() as connection:
        assert connection.exec_driver_sql(
            "SELECT EXISTS (SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' "
            "AND datname = current_database() AND state = 'idle' AND state_change < now() - interval '0.3 s')"
        ).scalar_one()


def test_a_relay_that_waits_for_events_outlives_a_restart_of_the_database(
    engine: Engine, kafka: KafkaSettings, database_url: str
) -> None:
    relays = open_engine(database_url)
    with running(relays, kafka):
        eventually(lambda: waits_for_events(engine))
        cut_connections(engine)
        engine.dispose()
        put(engine, event("ann", 1))
        until_published(engine)
    relays.dispose()


def test_two_relays_share_the_work_and_send_nothing_twice(engine: Engine, kafka: KafkaSettings) -> None:
    with running(engine, kafka), running(engine, kafka):
        for number in range(50):
            put(engine, event("ann", number), event("bob", number))
        until_published(engine)

    assert numbers_by_key(consume(kafka, 100)) == {"ann": list(range(50)), "bob": list(range(50))}


def test_what_kafka_does_not_take_waits_and_then_arrives_in_order(
    engine: Engine, kafka: KafkaSettings, kafka_topics: KafkaTopics
) -> None:
    put(engine, event("ann", 0))
    with running(engine, kafka):
        until_published(engine)
        kafka_topics.broker.stop()
        for number in range(1, 20):
            put(engine, event("ann", number))
        assert unpublished_count(engine) == 19
        kafka_topics.broker.start()
        until_published(engine)

    received = numbers_by_key(consume(kafka, 20))["ann"]
    assert sorted(set(received)) == list(range(20))
    assert [n for i, n in enumerate(received) if n not in received[:i]] == list(range(20))


def test_an_event_too_large_for_the_broker_does_not_hold_up_the_others(engine: Engine, kafka: KafkaSettings) -> None:
    huge = event("ann", 1)
    huge.payload["data"]["filling"] = os.urandom(1_500_000).hex()
    put(engine, event("ann", 0), huge, event("ann", 2))

    with running(engine, kafka):
        until_published(engine)

    assert numbers_by_key(consume(kafka, 2)) == {"ann": [0, 2]}
    with engine.connect() as connection:
        (error,) = connection.exec_driver_sql("SELECT error FROM outbox_events WHERE id = %s", (huge.id,)).one()
    assert "size" in error


def test_a_killed_relay_loses_nothing(
    engine: Engine, database_url: str, kafka_topics: KafkaTopics, kafka, tmp_path: Path
) -> None:
    environment = {**os.environ, **kafka_topics.environment, "DATABASE_URL": database_url}
    for number in range(2000):
        put(engine, event("ann", number), event(f"user{number % 7}", number))
    with (tmp_path / "log").open("wb") as log:
        relay = start_module("moonx_pipeline", "relay", env=environment, cwd=tmp_path, stdout=log, stderr=log)
    try:
        some_published(engine)
    finally:
        relay.send_signal(signal.SIGKILL)
        relay.wait()
    assert unpublished_count(engine) > 0

    with running(engine, kafka):
        until_published(engine)

    received = numbers_by_key(consume(kafka, 4000))["ann"]
    assert [n for i, n in enumerate(received) if i == received.index(n)] == list(range(2000))


@retry(retry=retry_if_exception_type(AssertionError), wait=wait_fixed(0.01), stop=stop_after_delay(60), reraise=True)
def some_published(engine: Engine) -> None:
    assert unpublished_count(engine) < 4000


def test_a_relay_stops_when_it_is_told_to(database_url: str, kafka_topics: KafkaTopics, tmp_path: Path) -> None:
    environment = {**os.environ, **kafka_topics.environment, "DATABASE_URL": database_url, "PYTHONUNBUFFERED": "1"}
    relay = subprocess.Popen(
        [sys.executable, "-m", "moonx_pipeline", "relay"],
        env=environment,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert relay.stdout is not None
    assert "Publishing to Kafka" in relay.stdout.readline()

    relay.send_signal(signal.SIGTERM)

    assert relay.wait(60) == 0
    assert "Stopped" in relay.stdout.read()


def test_a_sync_publishes_by_itself_where_no_relay_runs(engine: Engine, kafka: KafkaSettings) -> None:
    put(engine, event("ann", 1), event("ann", 2))

    outcome = publish_pending(engine, kafka, ["ann"])

    assert (outcome.published, outcome.by, outcome.problem) == (2, "sync", None)
    assert numbers_by_key(consume(kafka, 2)) == {"ann": [1, 2]}


def test_a_sync_leaves_its_events_to_the_relay_that_has_the_shard(engine: Engine, kafka: KafkaSettings) -> None:
    put(engine, event("ann", 1))
    with autocommit(engine) as relay:
        lock_shards(relay, set(range(SHARDS)))

        assert publish_pending(engine, kafka, ["ann"]).by == "relay"

        relay.invalidate()
    assert unpublished_count(engine) == 1


def test_kafka_that_was_down_is_left_alone_for_a_while_by_the_syncs_of_a_process(engine: Engine) -> None:
    put(engine, event("ann", 1))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        tried = threading.Semaphore(0)
        threading.Thread(target=hang_up_on_all, args=(listening, tried), daemon=True).start()
        broker = f"127.0.0.1:{listening.getsockname()[1]}"
        kafka = Settings.from_environment({"KAFKA_BROKERS": broker, "KAFKA_REQUEST_TIMEOUT": "200"}).kafka
        first = publish_pending(engine, kafka, ["ann"])
        while tried.acquire(blocking=False):
            pass

        assert publish_pending(engine, kafka, ["ann"]) == first
        assert broker in (first.problem or "")
        assert not tried.acquire(blocking=False)
        # Others may have the shard meanwhile, and it is given back.
        with autocommit(engine) as relay:
            assert lock_shards(relay, set(range(SHARDS))) == set(range(SHARDS))
            assert publish_pending(engine, kafka, ["ann"]).by == "relay"
            relay.invalidate()


def hang_up_on_all(listening: socket.socket, tried: threading.Semaphore) -> None:
    with suppress(OSError):
        while True:
            listening.accept()[0].close()
            tried.release()


def test_kafka_being_down_delays_events_and_fails_nothing(engine: Engine) -> None:
    nobody = Settings.from_environment({"KAFKA_BROKERS": "127.0.0.1:1", "KAFKA_REQUEST_TIMEOUT": "200"}).kafka
    put(engine, event("ann", 1))

    outcome = publish_pending(engine, nobody, ["ann"])

    assert (outcome.published, unpublished_count(engine)) == (0, 1)
    assert "127.0.0.1:1" in (outcome.problem or "")
    assert publish_pending(engine, KafkaSettings(), ["ann"]).by == "outbox"
