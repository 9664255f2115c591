"""The broker: which it is, its tables where it is the database, and what it leaves behind."""

import multiprocessing
import threading
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

import pytest
from kombu import Consumer, Queue
from kombu.connection import Connection
from sqlalchemy import Engine

from moonx_pipeline import broker as broker_module
from moonx_pipeline.broker import (
    QUEUE,
    announce_run,
    broker_url,
    celery_settings,
    prepare_broker,
    prune_delivered,
    uses_database,
)
from moonx_pipeline.defs.run_launcher import time_limit_seconds
from moonx_pipeline.settings import Settings, load_settings
from moonx_pipeline.storage.connection.engine import ready_engine
from moonx_pipeline_tests.fixtures.dagster import eventually


def on(database_url: str, **environment: str) -> Settings:
    return Settings.from_environment({"DATABASE_URL": database_url, **environment})


def _prepare(database_url: str) -> None:
    prepare_broker(on(database_url))


def test_processes_that_start_at_once_make_the_tables_once(engine: Engine, database_url: str) -> None:
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("fork")) as pool:
        list(pool.map(_prepare, [database_url] * 4))

    with engine.connect() as connection:
        tables = connection.exec_driver_sql("SELECT tablename FROM pg_tables WHERE schemaname = 'celery' ORDER BY 1")
        assert tables.scalars().all() == ["kombu_message", "kombu_queue"]


def test_a_worker_is_woken_by_a_run_that_is_sent(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = on(database_url)
    prepare_broker(settings)
    monkeypatch.setenv("DATABASE_URL", database_url)
    load_settings.cache_clear()
    monkeypatch.setattr(broker_module, "_POLLING_SECONDS", 60.0)
    options = celery_settings(settings)["broker_transport_options"]
    received: SimpleQueue[Any] = SimpleQueue()

    def take() -> None:
        with Connection(broker_url(settings), transport_options=options) as taking:
            waiting = Consumer(taking, [Queue(QUEUE, routing_key=QUEUE)], callbacks=[lambda *what: received.put(what)])
            with waiting:
                while received.empty():
                    with suppress(TimeoutError):
                        taking.drain_events()

    worker = threading.Thread(target=take, daemon=True)
    worker.start()
    eventually(lambda: _listens(settings))
    with Connection(broker_url(settings), transport_options=options) as sending:
        sending.SimpleQueue(QUEUE).put("a run")
    announce_run(settings)

    received.get(timeout=20)
    worker.join(20)
    load_settings.cache_clear()


def _listens(settings: Settings) -> None:
    with ready_engine(settings).connect() as connection:
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN moonx_broker%%'"
        assert connection.exec_driver_sql(waiting).scalar_one() > 0


def test_delivered_messages_are_pruned_and_waiting_ones_stay(engine: Engine, database_url: str) -> None:
    assert prune_delivered(engine) == 0  # it was never the broker
    settings = on(database_url)
    prepare_broker(settings)
    options = celery_settings(settings)["broker_transport_options"]
    with Connection(broker_url(settings), transport_options=options) as broker:
        queue = broker.SimpleQueue(QUEUE)
        for number in range(5):
            queue.put(number)
        for _ in range(3):
            queue.get(timeout=60).ack()

        assert prune_delivered(engine) == 3

        assert [queue.get(timeout=60).payload for _ in range(2)] == [3, 4]
        queue.channel.session.close()


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({"REDIS_HOST": "cache", "REDIS_PASSWORD": "p@ss", "REDIS_DB": "3"}, "redis://:p%40ss@cache:6379/3"),
        ({"CELERY_BROKER_URL": "redis://elsewhere/1", "REDIS_HOST": "cache"}, "redis://elsewhere/1"),
    ],
)
def test_redis_is_the_broker_where_it_is_configured(environment: dict[str, str], url: str) -> None:
    settings = on("postgresql://nobody@nowhere/none", **environment)

    prepare_broker(settings)  # asks nothing of the database

    assert not uses_database(settings)
    assert broker_url(settings) == url


def test_the_password_of_the_broker_is_not_in_what_is_shown_of_it() -> None:
    settings = on("postgresql://ann:verysecret@127.0.0.1:1/none")

    assert "verysecret" in broker_url(settings)
    assert Connection(broker_url(settings)).as_uri() == "moonx+postgresql+psycopg2://ann:**@127.0.0.1:1/none"


def test_a_run_has_the_time_that_its_job_needs() -> None:
    settings = on(
        "postgresql://nobody@nowhere/none",
        WORKER_TIMEOUT="20000",
        PERIODIC_SYNC_MARKET_HOURS_INTERVAL="60000",
        PERIODIC_SYNC_OFF_HOURS_INTERVAL="120000",
    )

    limits = {job: time_limit_seconds(settings, job) for job in ("portfolio_sync", "portfolio_sweep", "maintenance")}

    assert limits == {"portfolio_sync": 35, "portfolio_sweep": 180, "maintenance": 3600}
