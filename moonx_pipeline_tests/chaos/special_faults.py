"""Faults that are more than a signal or a link: of servers, of clocks, of data, and of too much at once."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING

import psycopg2
import requests
from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import KafkaError
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from moonx_pipeline.domain.event_types import SYSTEM_ALERTS
from moonx_pipeline_tests.chaos.reading import POISON
from moonx_pipeline_tests.fixtures.dagster import eventually
from moonx_pipeline_tests.support.full_disk import fill_disk
from moonx_pipeline_tests.support.outbox import event, put
from moonx_pipeline_tests.support.webhook_deliveries import delivery, signature_of
from moonx_pipeline_tests.support.wrong_clock import wrong_clock

if TYPE_CHECKING:
    from moonx_pipeline_tests.chaos.rounds import Chaos

_BURST = 400
_DELIVERIES = 400
_SIZE_TOO_LARGE = 1_200_000


@contextmanager
def child_frozen(chaos: Chaos) -> Iterator[None]:
    """One process of a worker is away for longer than a sync may take."""
    thaw = chaos.rig.parts["worker1"].freeze_child()
    try:
        yield
    finally:
        thaw()


@contextmanager
def connections_exhausted(chaos: Chaos) -> Iterator[None]:
    """Somebody else takes every connection that the database has left."""
    url = make_url(chaos.rig.url)
    taken = []
    with suppress(psycopg2.OperationalError):
        while True:
            taken.append(psycopg2.connect(host=url.query["host"], user="moonx_worker", dbname=url.database))
    try:
        yield
    finally:
        for connection in taken:
            connection.close()


@contextmanager
def deadlocks(chaos: Chaos) -> Iterator[None]:
    """Two sessions take users' locks in opposite orders, again and again."""
    stopped = threading.Event()

    def take(order: str) -> None:
        while not stopped.is_set():
            with suppress(DBAPIError), chaos.rig.engine.begin() as connection:
                users = connection.exec_driver_sql(f"SELECT user_id FROM user_sync_status ORDER BY user_id {order}")
                for user in users.scalars().all():
                    connection.exec_driver_sql("SELECT 1 FROM user_sync_status WHERE user_id = %s FOR UPDATE", (user,))
                    time.sleep(0.05)

    threads = [threading.Thread(target=take, args=(order,), daemon=True) for order in ("ASC", "DESC")]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


@contextmanager
def disk_full(chaos: Chaos) -> Iterator[None]:
    """No holding can be written."""
    fill_disk(chaos.rig.engine, "user_token_holdings")
    try:
        yield
    finally:
        with chaos.rig.engine.begin() as connection:
            connection.exec_driver_sql("DROP FUNCTION no_space CASCADE")


@contextmanager
def topic_missing(chaos: Chaos) -> Iterator[None]:
    """The topic of alerts is gone while an alert waits for it."""
    topic = SYSTEM_ALERTS.name
    chaos.recorder.topics.read()
    admin = KafkaAdminClient(bootstrap_servers=[chaos.rig.kafka.bootstrap])
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


# Clocks


def clock(part: str, seconds: int) -> Callable[[Chaos], AbstractContextManager[None]]:
    """A part starts again on a host whose clock is wrong."""

    @contextmanager
    def fault(chaos: Chaos) -> Iterator[None]:
        shim = wrong_clock(chaos.rig.folder, ahead_seconds=seconds)["LD_PRELOAD"]
        chaos.rig.parts[part].stop()
        chaos.rig.parts[part].start(LD_PRELOAD=shim)
        try:
            yield
        finally:
            chaos.rig.parts[part].stop()
            chaos.rig.parts[part].start()

    return fault


# Data


@contextmanager
def poison_event(chaos: Chaos) -> Iterator[None]:
    """An event that Kafka never takes, and messages of strangers that are no events."""
    large = event(POISON, 1)
    # Random, since Kafka weighs what is compressed.
    large.payload["data"]["filling"] = os.urandom(_SIZE_TOO_LARGE // 2).hex()
    put(chaos.rig.engine, large)
    producer = KafkaProducer(bootstrap_servers=[chaos.rig.kafka.bootstrap])
    for value in (b"", b"\xff\xfe", b"[]", b"{", json.dumps({"eventId": 1, "data": None}).encode()):
        producer.send("sync.events", key=POISON.encode(), value=value)
    producer.flush(10)
    producer.close()
    yield


@contextmanager
def poison_token(chaos: Chaos) -> Iterator[None]:
    """A user's list has a row that says nothing usable of its balance."""
    world = chaos.rig.simulator.simulation.world
    wallet, chain, address = next(iter(chaos.load.wallets.truth))
    token = world.token(chain, address)
    assert token is not None
    world.set_row(wallet, token, tokenBalance={"value": [1, None]})
    try:
        yield
    finally:
        world.set_row(wallet, token)


# Too much at once


@contextmanager
def burst(chaos: Chaos) -> Iterator[None]:
    chaos.load.burst(_BURST)
    yield


@contextmanager
def webhook_flood(chaos: Chaos) -> Iterator[None]:
    """The users' wallets are said to have moved, hundreds of times."""
    wallets = list(chaos.load.users.values())

    def deliver(number: int) -> None:
        body = delivery(wallets[number % len(wallets)])
        headers = {"X-Alchemy-Signature": signature_of(body), "Content-Type": "application/json"}
        with suppress(requests.RequestException):
            url = f"{chaos.rig.gateway_url('gateway1')}/api/v1/webhooks/alchemy"
            requests.post(url, data=body, headers=headers, timeout=15)

    with ThreadPoolExecutor(8) as senders:
        sent = senders.map(deliver, range(_DELIVERIES))
        yield
        list(sent)
