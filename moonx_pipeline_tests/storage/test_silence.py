"""Connections to PostgreSQL that are cut without a word: nobody waits for them, and what they held is free."""

import asyncio
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import OperationalError

from moonx_pipeline.events.stream import OutboxStream
from moonx_pipeline.gateway.live.feed import Feed
from moonx_pipeline.gateway.live.progress import ProgressSource
from moonx_pipeline.metrics import health as health_module
from moonx_pipeline.metrics.health import Check, Readiness
from moonx_pipeline.storage.connection import engine as engine_module
from moonx_pipeline.storage.connection import silence
from moonx_pipeline.storage.connection.engine import health_engine, open_engine, reach, why_unusable
from moonx_pipeline.storage.connection.retries import Database, RetryPolicy, autocommit
from moonx_pipeline.storage.connection.silence import answers_within
from moonx_pipeline.storage.syncs.workers import WorkerPresence, cancel_run, list_workers
from moonx_pipeline_tests.support.database_proxy import DatabaseProxy, database_proxy
from moonx_pipeline_tests.support.outbox import event, put

pytestmark = pytest.mark.slow

HEALED_SECONDS = 15.0
"""Within this time every part works again once the database can be reached."""


@pytest.fixture
def proxy(database_url: str) -> Iterator[DatabaseProxy]:
    with database_proxy(database_url) as proxy:
        yield proxy


@pytest.fixture
def behind(proxy: DatabaseProxy) -> Iterator[Engine]:
    """An engine whose connections pass the proxy."""
    engine = open_engine(proxy.url.render_as_string(hide_password=False))
    yield engine
    engine.dispose()


def test_a_step_whose_connection_is_lost_is_done_on_a_new_one(proxy: DatabaseProxy, behind: Engine) -> None:
    database = Database(behind, RetryPolicy(tries=2, delay_s=0.1, backoff=2))
    database.read(time.monotonic() + 60, lambda connection: connection.exec_driver_sql("SELECT 1"))
    proxy.lose_connections()

    began = time.monotonic()
    answer = database.read(began + 60, lambda connection: connection.exec_driver_sql("SELECT 2").scalar_one())

    assert answer == 2
    assert time.monotonic() - began < HEALED_SECONDS


def test_a_lost_transaction_says_why_and_frees_its_locks(proxy: DatabaseProxy, behind: Engine, engine: Engine) -> None:
    with behind.connect() as connection:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7)")
        proxy.lose_connections()
        with pytest.raises(OperationalError, match="it was cut"):
            connection.exec_driver_sql("SELECT 1")

    with engine.connect() as other:
        assert other.exec_driver_sql("SELECT pg_try_advisory_lock(7)").scalar_one()


def test_what_a_lost_session_held_is_free_once_the_database_is_reached_again(
    proxy: DatabaseProxy, behind: Engine
) -> None:
    with behind.connect() as connection:
        connection.exec_driver_sql("SELECT pg_advisory_lock(7)")
        proxy.lose_connections(takes_new=False)
        with pytest.raises(OperationalError, match="also on a new connection"):
            connection.exec_driver_sql("SELECT 1")
    proxy.take_new()

    with behind.connect() as other:
        assert other.exec_driver_sql("SELECT pg_try_advisory_lock(7)").scalar_one()


def test_a_long_statement_is_not_taken_for_a_lost_connection(behind: Engine) -> None:
    seconds = silence.SILENT_SECONDS + 2.5
    with behind.connect() as connection:
        assert connection.exec_driver_sql("SELECT 3 FROM pg_sleep(%s)", (seconds,)).scalar_one() == 3


def test_a_wait_for_a_lock_is_not_taken_for_a_lost_connection(behind: Engine, engine: Engine) -> None:
    with engine.connect() as holder, autocommit(behind) as waiting:
        holder.exec_driver_sql("SELECT pg_advisory_xact_lock(7)")
        timer = threading.Timer(silence.SILENT_SECONDS + 2, holder.rollback)
        timer.start()
        waiting.exec_driver_sql("SELECT pg_advisory_lock(7)")
        timer.join()


def test_a_large_answer_in_many_parts_arrives_whole(behind: Engine) -> None:
    with behind.connect() as connection:
        rows = connection.exec_driver_sql("SELECT g, repeat('x', 500) FROM generate_series(1, 20000) g").all()
        sent = connection.exec_driver_sql("SELECT length(%s)", ("y" * 5_000_000,)).scalar_one()

    assert (len(rows), sent) == (20_000, 5_000_000)


def test_a_database_that_is_silent_on_new_connections_too_is_given_up(proxy: DatabaseProxy, behind: Engine) -> None:
    with behind.connect() as connection:
        proxy.lose_connections(takes_new=False)
        began = time.monotonic()
        with pytest.raises(OperationalError, match="also on a new connection"):
            connection.exec_driver_sql("SELECT 1")
    assert time.monotonic() - began < HEALED_SECONDS

    began = time.monotonic()
    with pytest.raises(OperationalError, match="timeout expired"), behind.connect():
        pass
    assert time.monotonic() - began < silence.CONNECT_SECONDS + 10


def test_a_database_is_used_again_as_soon_as_it_can_be_reached(proxy: DatabaseProxy) -> None:
    proxy.lose_connections(takes_new=False)
    engine = open_engine(proxy.url.render_as_string(hide_password=False))
    timer = threading.Timer(0.5, proxy.take_new)
    timer.start()

    reach(engine, wait_seconds=HEALED_SECONDS)

    engine.dispose()


def test_an_answer_may_be_asked_for_within_a_time(behind: Engine) -> None:
    began = time.monotonic()
    with behind.connect() as connection, pytest.raises(OperationalError, match="in time"), answers_within(0.3):
        connection.exec_driver_sql("SELECT pg_sleep(20)")
    assert time.monotonic() - began < 15


def test_one_dead_connection_makes_no_process_unready(
    proxy: DatabaseProxy, behind: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 2 * engine_module._PROBE_SECONDS < health_module._SECONDS
    # As much longer as a busy machine may need, for both.
    monkeypatch.setattr(engine_module, "_PROBE_SECONDS", 5 * engine_module._PROBE_SECONDS)
    monkeypatch.setattr(health_module, "_SECONDS", 5 * health_module._SECONDS)
    health = health_engine(behind)
    readiness = Readiness({"database": Check(True, lambda: why_unusable(health))})
    assert readiness.read()["status"] == "ready"
    proxy.lose_connections()
    readiness._found_at = float("-inf")

    assert readiness.read()["status"] == "ready"

    proxy.lose_connections(takes_new=False)
    readiness._found_at = float("-inf")
    began = time.monotonic()
    assert readiness.read()["dependencies"]["database"]["error"] == "The database can't be used."
    assert time.monotonic() - began < health_module._SECONDS
    proxy.take_new()
    readiness._found_at = float("-inf")
    assert readiness.read()["status"] == "ready"
    health.dispose()


def test_a_busy_pool_makes_no_process_unready(behind: Engine) -> None:
    health = health_engine(behind)
    used = [behind.connect() for _ in range(20)]

    assert why_unusable(health) is None

    for connection in used:
        connection.close()
    health.dispose()


class Ear:
    """What a feed passes on."""

    def __init__(self) -> None:
        self.heard: list = []
        self.changed = asyncio.Event()

    async def deliver(self, found: list, _skipped: bool) -> None:
        self.heard += found
        self.changed.set()

    async def wait(self) -> None:
        while not self.heard:
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), HEALED_SECONDS)


def test_events_flow_again_after_their_session_is_lost(proxy: DatabaseProxy, behind: Engine, engine: Engine) -> None:
    async def live() -> float:
        ear = Ear()
        feed = Feed("event stream", OutboxStream(behind), ear.deliver)
        await feed.start()
        proxy.lose_connections()
        began = time.monotonic()
        await asyncio.to_thread(put, engine, event("ann", 1))
        await ear.wait()
        await feed.stop()
        return time.monotonic() - began

    assert asyncio.run(live()) < HEALED_SECONDS


def test_progress_is_heard_again_after_its_session_is_lost(
    proxy: DatabaseProxy, behind: Engine, engine: Engine
) -> None:
    told = {"userId": "ann", "syncOperationId": "1", "chainId": 1, "state": "done"}

    def tell() -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql("SELECT pg_notify('moonx_progress', %s)", (json.dumps(told),))

    async def live() -> float:
        ear = Ear()
        feed = Feed("progress", ProgressSource(behind), ear.deliver)
        await feed.start()
        accepted = proxy.accepted
        proxy.lose_connections()
        began = time.monotonic()
        while not ear.heard and time.monotonic() - began < HEALED_SECONDS:
            await asyncio.to_thread(tell)  # what is told to a lost session is lost, as it is meant to be
            await asyncio.sleep(0.2)
        await feed.stop()
        assert proxy.accepted > accepted
        return time.monotonic() - began

    assert asyncio.run(live()) < HEALED_SECONDS


def test_a_process_that_lost_its_session_is_present_again(proxy: DatabaseProxy, behind: Engine, engine: Engine) -> None:
    heard = threading.Event()
    presence = WorkerPresence(behind, lambda _: heard.set())
    proxy.lose_connections()

    began = time.monotonic()
    while not heard.is_set() and time.monotonic() - began < HEALED_SECONDS:
        with engine.begin() as connection:
            cancel_run(connection, "run")
        heard.wait(0.2)

    assert heard.is_set()
    with engine.connect() as connection:
        assert [row.alive for row in list_workers(connection)] == [True]
        holders = (
            "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
            "WHERE locktype = 'advisory' AND datname = current_database()"
        )
        assert connection.exec_driver_sql(holders).scalar_one() == 1
    presence.leave()


def test_the_server_is_told_to_notice_later_than_the_client(behind: Engine) -> None:
    with behind.connect() as connection:
        told = connection.connection.driver_connection.info.dsn_parameters  # type: ignore[union-attr]
        server = dict(re.findall(r"-ctcp_(\w+)=(\d+)", told["options"]))

    def seconds(given: Mapping[str, str]) -> int:
        idle, interval, count = (int(given[f"keepalives_{name}"]) for name in ("idle", "interval", "count"))
        return idle + interval * count

    assert seconds(told) < seconds(server) <= HEALED_SECONDS
    assert int(told["tcp_user_timeout"]) < int(server["user_timeout"]) <= HEALED_SECONDS * 1000


def test_a_database_that_refuses_new_connections_lets_a_statement_go_on(
    behind: Engine, engine: Engine, postgres_server: str
) -> None:
    """As when others have taken all connections."""
    admin = create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    with behind.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
        with admin.connect() as other:
            other.exec_driver_sql(f"ALTER DATABASE {engine.url.database} ALLOW_CONNECTIONS false")
        seconds = silence.SILENT_SECONDS + 1
        assert connection.exec_driver_sql("SELECT 3 FROM pg_sleep(%s)", (seconds,)).scalar_one() == 3
    admin.dispose()
