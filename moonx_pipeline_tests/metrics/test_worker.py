"""What a worker tells of itself: the sums of all its processes, and whether it can take a run."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from sqlalchemy import create_engine, make_url

from moonx_pipeline.simulator.server import RunningSimulator, free_port
from moonx_pipeline.simulator.world import PLAIN_WALLET
from moonx_pipeline_tests.fixtures.dagster import System, Worker, eventually, running_system
from moonx_pipeline_tests.support.samples import samples
from moonx_pipeline_tests.support.workers import in_the_middle, new_user, pid_of, stuck_user

PROCESSES = 2
MAX_JOBS = 2


@pytest.fixture(scope="module")
def system(
    postgres_server: str, simulator_server: RunningSimulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("metrics")
    with running_system(postgres_server, simulator_server, folder, METRICS_PORT=str(free_port())) as running:
        yield running


@pytest.fixture(scope="module")
def url(system: System) -> str:
    return f"http://127.0.0.1:{system.environment['METRICS_PORT']}"


@pytest.fixture(scope="module")
def worker(system: System) -> Iterator[Worker]:
    # At the end it carries runs that never end by themselves.
    settings = {"WORKER_MAX_JOBS": str(MAX_JOBS), "CLUSTER_SHUTDOWN_TIMEOUT": "1000"}
    worker = system.start_worker(PROCESSES, **settings).until_ready()
    yield worker
    assert worker.stop() == 0


def ready(url: str) -> tuple[int, dict[str, dict]]:
    answer = requests.get(f"{url}/health/ready", timeout=5)
    return answer.status_code, answer.json()["dependencies"]


def test_what_its_processes_count_is_added_up_and_outlives_them(
    system: System, worker: Worker, url: str, simulator: RunningSimulator
) -> None:
    first = {child.pid for child in worker.children()}
    runs = [system.launch(new_user(system)) for _ in range(3 * PROCESSES * MAX_JOBS)]
    assert system.ended(*runs) == ["SUCCESS"] * len(runs)

    def all_are_counted() -> None:
        found = samples(url)
        assert found.total("sync_jobs_processed_total", trigger="manual", status="completed") == len(runs)
        assert found.total("sync_job_duration_seconds_count", trigger="manual") == len(runs)
        # One asks for all chains, so no user's sync does without one.
        assert found.total("provider_requests_total", provider="alchemy", outcome="ok") >= len(runs)
        assert found.total("provider_compute_units_total", provider="alchemy") > 0
        assert found.total("state_recovery_duration_seconds_count") >= 3 * PROCESSES

    eventually(all_are_counted)
    assert not first & {child.pid for child in worker.children()}
    # However often they are replaced, they share the same few files.
    (folder,) = (Path(system.environment["MOONX_HOME"]) / "metrics").iterdir()
    assert {file.name.rpartition("_")[2] for file in folder.iterdir()} == {"main.db", "0.db", "1.db"}


def test_a_process_that_is_killed_takes_nothing_of_what_it_counted_with_it(
    system: System, worker: Worker, url: str, simulator: RunningSimulator
) -> None:
    before = samples(url)
    carried_by = in_the_middle(system, run := system.launch(stuck_user(system, simulator)))

    os.kill(pid_of(carried_by), signal.SIGKILL)
    assert system.ended(run) == ["FAILURE"]

    def counted() -> None:
        found = samples(url)
        assert found.total("sync_jobs_failed_total", code="sync_worker_lost") == 1
        for name in ("sync_jobs_processed_total", "provider_requests_total", "provider_compute_units_total"):
            assert found.total(name) >= before.total(name)
        assert found.total("worker_processes") == PROCESSES

    eventually(counted)


def test_a_user_is_in_no_label(system: System, worker: Worker, url: str, simulator: RunningSimulator) -> None:
    user = new_user(system, PLAIN_WALLET)
    assert system.ended(system.launch(user)) == ["SUCCESS"]

    text = requests.get(f"{url}/metrics", timeout=10).text

    assert user not in text
    assert PLAIN_WALLET.lower() not in text.lower()


def test_it_is_ready_while_database_broker_and_processes_answer(system: System, worker: Worker, url: str) -> None:
    def all_well() -> None:
        status, parts = ready(url)
        assert (status, sorted(parts)) == (200, ["broker", "database", "processes"])
        assert all(part["ok"] and part["latencyMs"] >= 0 for part in parts.values())

    eventually(all_well)

    name = make_url(system.environment["DATABASE_URL"]).database
    server = make_url(system.environment["DATABASE_URL"]).set(database="postgres", username="postgres")
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        try:

            def away() -> None:
                status, parts = ready(url)
                assert (status, parts["database"]["ok"]) == (503, False)

            eventually(away)
            assert requests.get(f"{url}/health/live", timeout=5).json() == {"status": "live"}
            assert samples(url).total("dependency_up", dependency="database") == 0
        finally:
            connection.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    admin.dispose()

    def back() -> None:
        assert ready(url)[0] == 200

    eventually(back)
    assert "dependency is away" in worker.log


def test_one_that_stops_is_not_ready(system: System, worker: Worker, simulator: RunningSimulator) -> None:
    for busy in [system.launch(stuck_user(system, simulator)) for _ in range(PROCESSES)]:
        in_the_middle(system, busy)  # so that the other worker takes no more
    port = str(free_port())
    stopping = system.start_worker(1, METRICS_PORT=port, CLUSTER_SHUTDOWN_TIMEOUT="60000").until_ready()
    run = system.launch(stuck_user(system, simulator))
    in_the_middle(system, run)

    stopping.process.send_signal(signal.SIGTERM)

    def not_ready() -> None:
        status, parts = ready(f"http://127.0.0.1:{port}")
        assert (status, parts["processes"]["ok"]) == (503, False)
        assert "stopping" in parts["processes"]["error"]

    eventually(not_ready)
    stopping.process.send_signal(signal.SIGTERM)
    assert stopping.process.wait(60) == 0


def test_a_port_that_was_asked_for_is_that_one_or_none(system: System, worker: Worker) -> None:
    second = system.start_worker(1)  # on the same port

    assert second.process.wait(60) == 1
    assert f"127.0.0.1:{system.environment['METRICS_PORT']}" in second.log
    assert "set METRICS_PORT" in second.log


def test_workers_side_by_side_need_no_settings(system: System) -> None:
    workers = [system.start_worker(1, METRICS_PORT="") for _ in range(2)]

    def served() -> list[str]:
        found = [
            line.split('"url": "')[1].split('"')[0] for w in workers for line in w.log.splitlines() if '"url"' in line
        ]
        assert len(set(found)) == 2
        return found

    for address in eventually(served):
        assert requests.get(f"{address}/health/live", timeout=5).status_code == 200
    assert [worker.until_ready().stop() for worker in workers] == [0, 0]


def test_both_can_be_switched_off(system: System, simulator: RunningSimulator) -> None:
    port = str(free_port())
    off = {"MONITORING_ENABLE_PROMETHEUS": "false", "MONITORING_ENABLE_HEALTH_CHECKS": "false"}
    worker = system.start_worker(1, METRICS_PORT=port, **off).until_ready()

    assert system.ended(system.launch(new_user(system))) == ["SUCCESS"]
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{port}/health/live", timeout=5)
    assert worker.stop() == 0
