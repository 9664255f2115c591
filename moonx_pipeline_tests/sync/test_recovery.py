"""Processes that die at any point, a database that restarts: nothing half-written, nothing left behind."""

import multiprocessing
import os
import signal
import socket
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from subprocess import DEVNULL

import psutil
import pytest
from sqlalchemy import Engine, event

from moonx_pipeline.clock import utc_now
from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.tokens import TOKENS
from moonx_pipeline.simulator.world import PLAIN_WALLET
from moonx_pipeline.storage.connection.embedded import embedded_url, release
from moonx_pipeline.storage.connection.engine import open_engine
from moonx_pipeline.storage.connection.migrations import migrate
from moonx_pipeline.storage.requests.queue import add_request
from moonx_pipeline.storage.syncs.workers import list_workers
from moonx_pipeline.sync.open import open_requested
from moonx_pipeline.sync.pipeline import SyncPipeline
from moonx_pipeline.sync.recovery import process_worker, recover_lost
from moonx_pipeline.sync.runtime import Runtime, open_runtime
from moonx_pipeline.sync.spec import SyncSpec
from moonx_pipeline_tests.support.recovering import recover
from moonx_pipeline_tests.support.syncs import (
    alerts,
    event_types,
    events,
    held,
    operation,
    portfolio,
    register,
    status,
    sync,
    violations,
)

pytestmark = pytest.mark.slow

USDC = next(t for t in TOKENS.values() if (t.chain_id, t.symbol) == (1, "USDC"))
_fork = multiprocessing.get_context("fork")


READING = "take_permits"
"""A statement in the middle of a sync: it is open, and its balances are being read."""


def _sync_and_die(url: str, settings, order: SyncSpec, step: int | str, moment: str) -> None:
    """Syncs a user, and is killed at a step, as by the kernel."""
    engine = open_engine(url)
    lock, seen = threading.Lock(), 0

    def die(*about: object) -> None:
        nonlocal seen
        with lock:
            seen += 1
            if seen == step or (isinstance(step, str) and step in str(about[2])):
                os.kill(os.getpid(), signal.SIGKILL)

    event.listen(engine, moment, die)
    SyncPipeline(open_runtime(settings, engine)).run(order)
    os._exit(0)


def run_and_kill(
    engine: Engine, settings, order: SyncSpec, step: int | str, moment: str = "after_cursor_execute"
) -> bool:
    """Whether the process died; it ended by itself where it has fewer steps."""
    url = engine.url.render_as_string(hide_password=False)
    process = _fork.Process(target=_sync_and_die, args=(url, settings, order, step, moment))
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


@pytest.mark.parametrize(
    ("moment", "at_least"), [("before_cursor_execute", 14), ("after_cursor_execute", 14), ("commit", 2)]
)
def test_killed_at_any_step_it_leaves_nothing_behind_and_the_next_sync_succeeds(
    engine: Engine, runtime: Runtime, settings, simulator: RunningSimulator, moment: str, at_least: int
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime, trigger="schedule")
    step = 0
    while True:
        step += 1
        simulator.simulation.world.set_balance(PLAIN_WALLET, USDC, 1000 + step)
        with engine.begin() as connection:
            request = add_request(connection, "ann", source="api", priority="high")
        order = SyncSpec(uuid.uuid4(), "ann", "manual", request_id=request)

        died = run_and_kill(engine, settings, order, step, moment)

        recover(runtime)
        assert violations(engine) == []
        with engine.connect() as connection:
            left = connection.exec_driver_sql(
                "SELECT (SELECT count(*) FROM sync_operations WHERE status IN ('pending', 'running')), "
                "(SELECT status FROM sync_requests WHERE id = %s)",
                (request,),
            ).one()
        assert left[0] == 0
        assert left[1] in ("pending", "done")
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE sync_requests SET status = 'cancelled' WHERE status = 'pending'")
        assert sync(runtime, trigger="schedule").status == "completed"
        assert held(engine)[1, USDC.address] == 1000 + step
        assert violations(engine) == []
        if not died:
            break
    assert step > at_least


def test_a_lost_sync_is_told_its_request_waits_again_and_its_user_is_due(
    engine: Engine, runtime: Runtime, settings
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime)
    with engine.begin() as connection:
        request = add_request(connection, "ann", source="api", priority="high")
    order = SyncSpec(uuid.uuid4(), "ann", "manual", request_id=request)
    assert run_and_kill(engine, settings, order, READING)

    lost = recover(runtime)

    assert [operation.ref.operation_id for operation in lost] == [order.operation_id]
    ended = operation(engine)
    assert (ended.status, ended.error_code) == ("failed", "sync_worker_lost")
    assert events(engine)[-1]["data"]["error"]["code"] == "sync_worker_lost"
    assert event_types(engine)[-2:] == ["sync.started", "sync.failed"]
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT status, attempts, sync_operation_id FROM sync_requests").one() == (
            "pending",
            1,
            None,
        )
        assert [worker.alive for worker in list_workers(connection)] == [True]
    assert [alert["alertType"] for alert in alerts(engine)] == ["sync_worker_lost"]
    assert status(engine).next_sync_at <= utc_now()
    assert status(engine).consecutive_failures == 0
    assert recover_lost(runtime, utc_now()) == ((), ())


def test_a_request_that_kills_its_workers_is_refused_in_the_end(engine: Engine, runtime: Runtime, settings) -> None:
    register(engine, "ann", PLAIN_WALLET)
    with engine.begin() as connection:
        request = add_request(connection, "ann", source="api", priority="high")
    for _ in range(3):
        assert run_and_kill(engine, settings, SyncSpec(uuid.uuid4(), "ann", request_id=request), READING)
        recover(runtime)

    with engine.connect() as connection:
        ended = connection.exec_driver_sql("SELECT status, reason FROM sync_requests").one()
    assert ended == ("refused", "Its worker died 3 times.")


def test_many_that_recover_at_once_close_each_operation_once(engine: Engine, runtime: Runtime, settings) -> None:
    users = [f"user{number}" for number in range(20)]
    for user in users:
        register(engine, user, PLAIN_WALLET)
    process_worker(runtime, utc_now())
    url = engine.url.render_as_string(hide_password=False)

    def open_all_and_die() -> None:
        mine = open_engine(url)
        for user in users:
            SyncPipeline(open_runtime(settings, mine)).open(SyncSpec(uuid.uuid4(), user))
        os.kill(os.getpid(), signal.SIGKILL)

    process = _fork.Process(target=open_all_and_die)
    process.start()
    process.join()

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: recover(runtime), range(6)))

    assert sorted(operation.ref.user_id for lost in found for operation in lost) == sorted(users)
    assert violations(engine) == []


def test_a_living_process_is_never_taken_for_dead(engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime)
    worker = process_worker(runtime, utc_now())

    assert recover_lost(runtime, utc_now()).workers == ()
    with engine.connect() as connection:
        # Its connection is cut: it lives, and takes its lock again at its next step.
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks "
            "WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
        )
    assert process_worker(runtime, utc_now()) == worker
    assert recover_lost(runtime, utc_now()).workers == ()
    with engine.connect() as connection:
        assert [row.alive for row in list_workers(connection)] == [True]


def test_after_an_outage_a_process_of_another_host_has_time_to_come_back(engine: Engine, runtime: Runtime) -> None:
    with engine.begin() as connection:
        # Neither holds its lock, as right after a restart of the server; one is a process that never was.
        connection.exec_driver_sql(
            "INSERT INTO worker_processes (id, host, pid) "
            "VALUES ('elsewhere', 'another-host', 1), ('here', %s, 4194305)",
            (socket.gethostname(),),
        )
    the_server_is_young = replace(runtime, policy=replace(runtime.policy, sync_seconds=10**6))
    the_server_has_settled = replace(runtime, policy=replace(runtime.policy, sync_seconds=0))

    assert recover_lost(the_server_is_young, utc_now()).workers == ("here",)
    assert recover_lost(the_server_has_settled, utc_now()).workers == ("elsewhere",)


def test_a_child_does_not_keep_its_parents_lock(engine: Engine, settings: Settings, runtime: Runtime) -> None:
    register(engine, "ann", PLAIN_WALLET)
    url = engine.url.render_as_string(hide_password=False)
    told, release_child = _fork.SimpleQueue(), _fork.Event()

    def parent() -> None:
        process_worker(open_runtime(settings, open_engine(url)), utc_now())
        child = os.fork()
        if child == 0:
            release_child.wait(60)
            os._exit(0)
        told.put(child)
        os.kill(os.getpid(), signal.SIGKILL)

    process = _fork.Process(target=parent)
    process.start()
    child = told.get()
    process.join()
    try:
        assert psutil.pid_exists(child)
        recover(runtime)
    finally:
        release_child.set()


@pytest.fixture
def restartable(tmp_path: Path):
    """A PostgreSQL of the test's own, and what restarts it."""
    folder = tmp_path / "home"
    engine = open_engine(embedded_url(folder))
    migrate(engine)
    data = next(folder.rglob("PG_VERSION")).parent

    def restart() -> None:
        server = psutil.Process(int((data / "postmaster.pid").read_text().splitlines()[0]))
        command, user = server.cmdline(), server.uids().real
        server.send_signal(signal.SIGQUIT)  # every connection is cut, as in a crash
        server.wait(20)
        psutil.Popen(command, user=user, stdout=DEVNULL, stderr=DEVNULL, start_new_session=True)

    yield engine, restart
    engine.dispose()
    release(folder)


def test_a_sync_lost_by_its_living_worker_is_closed_when_none_can_last_so_long(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    long_ago = utc_now() - timedelta(seconds=3 * runtime.policy.sync_seconds + 61)
    lost = open_requested(runtime, SyncSpec(uuid.uuid4(), "ann", "schedule"), long_ago)
    register(engine, "bob", PLAIN_WALLET)
    open_requested(runtime, SyncSpec(uuid.uuid4(), "bob", "schedule"), utc_now())

    found = recover_lost(runtime, utc_now())

    assert [operation.ref.operation_id for operation in found.operations] == [lost.operation_id]
    assert (operation(engine, "ann").status, operation(engine, "bob").status) == ("failed", "running")
    assert status(engine, "ann").next_sync_at <= utc_now()
    assert violations(engine) == []


def test_a_process_whose_clock_is_wrong_closes_nothing_that_others_are_at(engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", PLAIN_WALLET)
    open_requested(runtime, SyncSpec(uuid.uuid4(), "ann", "schedule"), utc_now())

    for wrong in (timedelta(minutes=20), timedelta(days=400), -timedelta(minutes=20)):
        assert recover_lost(runtime, utc_now() + wrong) == ((), ())

    assert operation(engine, "ann").status == "running"


@pytest.mark.parametrize("statement", [2, 5, 9, 12])
def test_a_sync_goes_on_after_the_database_was_restarted_under_it(
    restartable, settings, simulator: RunningSimulator, statement: int
) -> None:
    engine, restart = restartable
    patient = settings.model_copy(
        update={"worker": settings.worker.model_copy(update={"retries": 10, "retry_delay_ms": 500})}
    )
    runtime = open_runtime(patient, engine)
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime)
    simulator.simulation.world.set_balance(PLAIN_WALLET, USDC, 4242)
    seen = 0

    def crash(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == statement:
            restart()

    event.listen(engine, "before_cursor_execute", crash)
    outcome = sync(runtime)
    event.remove(engine, "before_cursor_execute", crash)

    assert outcome.status == "completed"
    assert held(engine)[1, USDC.address] == 4242
    assert portfolio(engine).version == 2
    assert violations(engine) == []
