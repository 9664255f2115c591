"""Workers take runs again when Redis does; one that takes none although some wait says so, and ends."""

import time

import pytest
import requests

from moonx_pipeline.simulator.server import RunningSimulator, free_port
from moonx_pipeline_tests.fixtures.dagster import System, eventually
from moonx_pipeline_tests.fixtures.redis import RedisServer
from moonx_pipeline_tests.support.workers import in_the_middle, new_user, stuck_user

MARGIN_SECONDS = 30.0  # of a machine that does much else


def test_a_worker_goes_on_when_redis_restarts_while_all_its_processes_are_busy(
    redis_system: System, own_redis: RedisServer, simulator: RunningSimulator
) -> None:
    system = redis_system
    worker = system.start_worker(1).until_ready()
    busy = system.launch(stuck_user(system, simulator))
    in_the_middle(system, busy)
    own_redis.kill()
    system.instance.run_launcher.terminate(busy)
    assert system.ended(busy) == ["CANCELED"]

    def notices() -> None:
        assert "Connection to broker lost" in worker.log

    eventually(notices)
    own_redis.start()
    simulator.simulation.reset()

    assert system.ended(*(system.launch(new_user(system)) for _ in range(3))) == ["SUCCESS"] * 3
    assert worker.stop() == 0


def test_a_worker_waits_while_redis_refuses_what_takes_memory(redis_system: System, own_redis: RedisServer) -> None:
    own_redis.limit_memory("1")
    worker = redis_system.start_worker(1)

    def notices() -> None:
        assert worker.log.count("command not allowed when used memory") > 1

    eventually(notices)
    assert "Frequent restarts" not in worker.log
    own_redis.limit_memory("0")

    assert redis_system.ended(redis_system.launch(new_user(redis_system))) == ["SUCCESS"]
    assert worker.stop() == 0


@pytest.mark.parametrize("system", ["redis"], indirect=True)
def test_a_worker_that_takes_no_run_is_not_ready_and_ends(system: System, simulator: RunningSimulator) -> None:
    port = free_port()
    process, log = system.start(
        "moonx_pipeline_tests.support.deaf_worker", WORKER_CONCURRENCY="1", METRICS_PORT=str(port)
    )

    def answer() -> tuple[int, str | None]:
        assert process.poll() is None, log.read_text()
        found = requests.get(f"http://127.0.0.1:{port}/health/ready", timeout=5)
        return found.status_code, found.json()["dependencies"]["processes"]["error"]

    def ready() -> None:
        assert answer() == (200, None)

    eventually(ready)
    run_id = system.launch(new_user(system))
    waits_since = time.monotonic()

    def says_so() -> None:
        status, error = answer()
        assert status == 503
        assert "Runs wait and a process is free, but it has taken none" in (error or "")

    eventually(says_so)
    assert time.monotonic() - waits_since < 3 + MARGIN_SECONDS
    assert process.wait(90) == 1
    assert time.monotonic() - waits_since < 9 + MARGIN_SECONDS
    assert "start it again" in log.read_text()

    worker = system.start_worker(1)
    assert system.ended(run_id) == ["SUCCESS"]
    assert worker.stop() == 0
