"""Runs on warm workers, with each of the brokers: they succeed, they are lost, they are cancelled."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from moonx_pipeline.clock import utc_now
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import PLAIN_WALLET
from moonx_pipeline.storage.syncs.workers import known_workers
from moonx_pipeline.sync import run_tags
from moonx_pipeline.sync.cancel import cancel_operation
from moonx_pipeline_tests.fixtures.dagster import System, Worker, eventually
from moonx_pipeline_tests.support.expected import expected
from moonx_pipeline_tests.support.syncs import event_types, held, operation, status, violations
from moonx_pipeline_tests.support.workers import (
    in_the_middle,
    launch_asked,
    new_user,
    pid_of,
    request_status,
    rows,
    stuck_user,
)

MAX_JOBS = 6
ON_ONE_BROKER = pytest.mark.parametrize("system", ["postgresql"], indirect=True)
"""For what happens once a run was taken, in which the broker has no part."""


@pytest.fixture(scope="module")
def worker(system: System) -> Iterator[Worker]:
    worker = system.start_worker(2, WORKER_MAX_JOBS=str(MAX_JOBS)).until_ready()
    yield worker
    assert worker.stop() == 0


def start_time(pid: int) -> float:
    """When a process was started, as this machine's clock tells it, to a hundredth of a second.

    The kernel counts it from its boot. psutil adds the boot's time in whole seconds, so up to one too early.
    """
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    booted_at = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return booted_at + ticks / os.sysconf("SC_CLK_TCK")


def test_a_run_is_carried_by_a_process_that_opened_its_own_connections(
    system: System, worker: Worker, simulator: RunningSimulator
) -> None:
    user = new_user(system)
    started_at = start_time(worker.process.pid)
    forked_at = min(start_time(child.pid) for child in worker.children())

    run_id = system.launch(user)

    assert system.ended(run_id) == ["SUCCESS"]
    assert held(system.engine, user) == expected(PLAIN_WALLET)
    carried_by = system.run(run_id).tags[run_tags.WORKER]
    assert pid_of(carried_by) in {child.pid for child in worker.children()}
    assert operation(system.engine, user).worker_id == carried_by
    assert violations(system.engine) == []
    # What the worker had opened before it forked was not used for it.
    used_by_both = rows(
        system.engine,
        "SELECT application_name, query FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name IN ('moonx', 'moonx-dagster') AND pid <> pg_backend_pid() AND backend_start BETWEEN "
        "to_timestamp(%s) AND to_timestamp(%s) AND state_change > (SELECT started_at FROM sync_operations "
        "WHERE dagster_run_id = %s)",
        started_at,
        forked_at,
        run_id,
    )
    assert used_by_both == []


def test_a_process_that_is_killed_fails_its_run_and_what_it_was_at_is_due_again(
    system: System, worker: Worker, simulator: RunningSimulator
) -> None:
    user = stuck_user(system, simulator)
    request_id, run_id = launch_asked(system, user)
    carried_by = in_the_middle(system, run_id)

    os.kill(pid_of(carried_by), signal.SIGKILL)

    assert system.ended(run_id) == ["FAILURE"]  # the worker itself has noticed: there is no daemon
    assert f"Worker {carried_by} died while it carried the run" in system.messages(run_id)[-1]
    assert operation(system.engine, user).error_code == "sync_worker_lost"
    assert event_types(system.engine, user) == ["sync.started", "sync.failed"]
    assert request_status(system.engine, request_id) == "pending"
    assert status(system.engine, user).next_sync_at <= utc_now()
    assert violations(system.engine) == []
    # Another process has taken its place.
    assert system.ended(*(system.launch(new_user(system)) for _ in range(3))) == ["SUCCESS"] * 3

    def replaced() -> None:
        assert len(worker.children()) == 2

    eventually(replaced)


@ON_ONE_BROKER
def test_processes_are_replaced_after_so_many_runs(system: System, worker: Worker, simulator: RunningSimulator) -> None:
    runs = [system.launch(new_user(system)) for _ in range(MAX_JOBS + 2)]

    assert system.ended(*runs) == ["SUCCESS"] * len(runs)
    carried = Counter(
        run.tags.get(run_tags.WORKER) for run in system.instance.get_runs() if run_tags.WORKER in run.tags
    )
    assert max(carried.values()) <= MAX_JOBS
    done = {worker_id for worker_id, count in carried.items() if count == MAX_JOBS}

    def replaced() -> None:
        with system.engine.connect() as connection:
            assert not done & known_workers(connection)
        assert len(worker.children()) == 2

    eventually(replaced)


@ON_ONE_BROKER
def test_a_run_that_is_terminated_ends_at_once_and_stores_nothing(
    system: System, worker: Worker, simulator: RunningSimulator
) -> None:
    user = stuck_user(system, simulator)
    request_id, run_id = launch_asked(system, user)
    in_the_middle(system, run_id)

    assert system.instance.run_coordinator.cancel_run(run_id)

    # By far sooner than the provider would be given up.
    assert system.ended(run_id) == ["CANCELED"]
    ended = operation(system.engine, user)
    assert (ended.status, ended.error_code) == ("cancelled", "cancelled")
    assert ended.error_message == "The run was terminated."
    assert event_types(system.engine, user) == ["sync.started", "sync.failed"]
    assert request_status(system.engine, request_id) == "cancelled"
    assert held(system.engine, user) == {}
    assert violations(system.engine) == []
    assert not system.instance.run_launcher.terminate(run_id)
    simulator.simulation.reset()
    assert system.ended(system.launch(user)) == ["SUCCESS"]


@ON_ONE_BROKER
def test_a_sync_that_is_cancelled_by_its_id_ends_its_run(
    system: System, worker: Worker, simulator: RunningSimulator
) -> None:
    user = stuck_user(system, simulator)
    _, run_id = launch_asked(system, user)
    in_the_middle(system, run_id)

    cancelled = cancel_operation(system.engine, operation(system.engine, user).id, "The user cancelled it.", utc_now())

    assert cancelled is not None
    assert cancelled.run_id == run_id
    assert system.ended(run_id) == ["CANCELED"]
    assert operation(system.engine, user).error_message == "The user cancelled it."
    assert violations(system.engine) == []


def test_runs_that_wait_for_a_process_can_be_cancelled(
    system: System, worker: Worker, simulator: RunningSimulator
) -> None:
    busy = [system.launch(stuck_user(system, simulator)) for _ in range(2)]
    for run_id in busy:
        in_the_middle(system, run_id)
    users = [new_user(system) for _ in range(3)]
    (request_1, terminated), (request_2, forced), (request_3, withdrawn) = (launch_asked(system, u) for u in users)

    assert system.instance.run_launcher.terminate(terminated)
    assert system.status(terminated) == "CANCELED"
    # As Dagster's pages do it by force, of which the launcher is not told; and as the API does, which knows no runs.
    system.instance.report_run_canceled(system.run(forced))
    assert cancel_operation(system.engine, UUID(request_3), "The user cancelled it.", utc_now()) is not None
    for run_id in busy:
        system.instance.run_launcher.terminate(run_id)

    assert system.ended(terminated, forced, withdrawn, *busy) == ["CANCELED"] * 5

    def all_are_cancelled() -> None:
        found = [request_status(system.engine, request_id) for request_id in (request_1, request_2, request_3)]
        assert found == ["cancelled"] * 3

    eventually(all_are_cancelled)
    assert rows(system.engine, "SELECT 1 FROM sync_operations WHERE user_id = ANY(%s)", users) == []
    assert violations(system.engine) == []


def test_what_may_wait_waits_in_dagsters_queue_and_clicks_do_not(
    system: System, worker: Worker, simulator: RunningSimulator
) -> None:
    low_request, low = launch_asked(system, new_user(system), **{run_tags.PRIORITY: "low"})
    backfill = system.launch(new_user(system), **{run_tags.BACKFILL: "some-backfill"})
    click = system.launch(new_user(system), **{run_tags.PRIORITY: "high"})

    assert system.ended(click) == ["SUCCESS"]
    assert [system.status(low), system.status(backfill)] == ["QUEUED", "QUEUED"]

    def one_process_is_left_for_clicks() -> None:
        queue = system.instance.get_concurrency_config().run_queue_config
        assert queue is not None
        assert queue.max_concurrent_runs == 1

    eventually(one_process_is_left_for_clicks)
    for run_id in (low, backfill):
        assert system.instance.run_coordinator.cancel_run(run_id)
    assert system.ended(low, backfill) == ["CANCELED", "CANCELED"]
    assert request_status(system.engine, low_request) == "cancelled"
    assert violations(system.engine) == []


# The last one here: what hangs goes on holding its part of the process until it is given up.
@ON_ONE_BROKER
def test_a_source_of_prices_that_hangs_does_not_hold_up_the_end_of_a_run(
    system: System, worker: Worker, simulator: RunningSimulator
) -> None:
    for provider in ("binance", "coingecko", "dexscreener"):
        simulator.fault("hang", provider)
    with system.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM token_evidence")
    run_id = system.launch(new_user(system))

    def asks_for_prices() -> None:
        assert "portfolio.value_portfolio" in {record.step_key for record in system.instance.all_logs(run_id)}
        assert simulator.requests("binance") + simulator.requests("coingecko") > 0

    eventually(asks_for_prices)
    system.instance.run_launcher.terminate(run_id)

    assert system.ended(run_id) == ["CANCELED"]
    assert violations(system.engine) == []
