"""Unattended work on real processes: sweeps on workers, and the schedules' ticks of a real daemon."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from moonx_pipeline.clock import utc_now
from moonx_pipeline.defs.lost_workers import close_lost
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.tokens import derived_address
from moonx_pipeline.simulator.world import PLAIN_WALLET
from moonx_pipeline_tests.fixtures.dagster import System, Worker, eventually, running_system
from moonx_pipeline_tests.support.commands import moonx
from moonx_pipeline_tests.support.expected import expected
from moonx_pipeline_tests.support.syncs import held, operation, register, status, violations


@pytest.fixture
def system(
    postgres_server: str, simulator: RunningSimulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[System]:
    """A system whose schedules tick each minute."""
    each_minute = {
        "PERIODIC_SYNC_ENABLED": "true",
        "PERIODIC_SYNC_CRON_PATTERN": "* * * * *",
        "PERIODIC_SYNC_MARKET_HOURS_INTERVAL": "60000",
        "PERIODIC_SYNC_OFF_HOURS_INTERVAL": "60000",
    }
    with running_system(postgres_server, simulator, tmp_path_factory.mktemp("unattended"), **each_minute) as running:
        yield running


@pytest.fixture
def worker(system: System) -> Worker:
    return system.start_worker().until_ready()


def crowd(engine: Engine) -> list[str]:
    names = [f"user{number}" for number in range(5)]
    for name in names:
        register(engine, name, derived_address(name))
    return names


def all_running(engine: Engine, names: list[str]) -> None:
    with engine.connect() as connection:
        running = connection.exec_driver_sql("SELECT user_id FROM active_sync_operations").scalars().all()
    assert sorted(running) == names


def in_the_middle_of_a_sweep(system: System, simulator: RunningSimulator) -> tuple[list[str], int, str]:
    """Waits until a sweep has its users and no provider answers: they, the fault, and the run."""
    names = crowd(system.engine)
    hang = simulator.fault("hang", "alchemy")
    run_id = system.submit("portfolio_sweep")
    eventually(lambda: all_running(system.engine, names))
    return names, hang, run_id


def swept_again(system: System, names: list[str]) -> None:
    """A further sweep finds them due, and syncs them."""
    assert all(status(system.engine, name).next_sync_at <= utc_now() for name in names)
    assert system.ended(system.submit("portfolio_sweep")) == ["SUCCESS"]
    assert {operation(system.engine, name).status for name in names} == {"completed"}
    assert violations(system.engine) == []


def test_a_sweep_whose_process_is_killed_fails_and_its_users_are_due(
    system: System, worker: Worker, simulator: RunningSimulator
) -> None:
    names, hang, run_id = in_the_middle_of_a_sweep(system, simulator)

    carrier = system.run(run_id).tags["moonx/worker"]
    (process,) = [child for child in worker.children() if f":{child.pid}:" in carrier]
    process.kill()

    def closed() -> None:
        close_lost(system.runtime, system.instance, utc_now())
        assert system.run(run_id).is_finished

    eventually(closed)
    assert system.status(run_id) == "FAILURE"
    assert {operation(system.engine, name).error_code for name in names} == {"sync_worker_lost"}
    simulator.simulation.faults.clear(hang)
    swept_again(system, names)


def test_a_sweep_that_is_terminated_hands_its_users_back(
    system: System, worker: Worker, simulator: RunningSimulator
) -> None:
    names, hang, run_id = in_the_middle_of_a_sweep(system, simulator)

    assert system.instance.run_launcher.terminate(run_id)

    assert system.ended(run_id) == ["CANCELED"]
    assert {operation(system.engine, name).error_code for name in names} == {"handed_back"}
    simulator.simulation.faults.clear(hang)
    swept_again(system, names)


def test_ticks_sweep_and_requests_are_served_with_and_without_the_run_trigger(system: System, worker: Worker) -> None:
    system.start_dagster()
    names = crowd(system.engine)
    register(system.engine, "ann", PLAIN_WALLET)
    with system.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE user_sync_status SET next_sync_at = now() + interval '1 hour'")

    # The sensor serves.
    done = moonx("sync", "ann", "--wait", cwd=system.folder, **system.environment)
    assert (done.returncode, operation(system.engine, "ann").trigger) == (0, "manual"), done.stdout + done.stderr
    # The run trigger starts it.
    done = moonx("sync", "ann", "--wait", cwd=system.folder, **system.environment, DAGSTER_GRAPHQL_URL=system.graphql)
    assert done.returncode == 0, done.stdout + done.stderr
    with system.engine.connect() as connection:
        counts = "SELECT (SELECT count(*) FROM sync_operations), (SELECT count(*) FROM dagster.runs)"
        assert connection.exec_driver_sql(counts).one() == (2, 2)
    assert held(system.engine, "ann") == expected(PLAIN_WALLET)

    with system.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE user_sync_status SET next_sync_at = now() - interval '1 hour'")

    def syncs_of_sweeps() -> list[str]:
        with system.engine.connect() as connection:
            found = connection.exec_driver_sql(
                "SELECT user_id FROM sync_operations WHERE type = 'sweep' AND status = 'completed' ORDER BY user_id"
            )
            users = list(found.scalars())
        assert set(names) <= set(users)
        return users

    # Each was due for an hour of ticks, and is swept once. Of Ann nothing has changed since she asked.
    assert eventually(syncs_of_sweeps, seconds=90) == names

    def ann_is_checked() -> None:
        with system.engine.connect() as connection:
            unchanged = (
                "SELECT sum(syncs), (SELECT last_sync_at > (SELECT max(completed_at) FROM sync_operations "
                "WHERE user_id = 'ann') FROM user_sync_status WHERE user_id = 'ann') FROM unchanged_syncs"
            )
            assert connection.exec_driver_sql(unchanged).one() == (1, True)

    eventually(ann_is_checked)
    run = system.run(operation(system.engine, names[0]).dagster_run_id)
    assert run.tags["dagster/schedule_name"] in ("market_hours_sweep", "off_hours_sweep")
    assert violations(system.engine) == []
