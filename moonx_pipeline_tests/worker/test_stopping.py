"""Workers that stop, or are stopped: what was under way is finished, handed back or found, and nothing is lost."""

import os
import signal

import psutil

from moonx_pipeline.clock import utc_now
from moonx_pipeline.defs.lost_workers import close_lost
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.sync import run_tags
from moonx_pipeline_tests.fixtures.dagster import System, eventually
from moonx_pipeline_tests.support.syncs import operation, status, violations
from moonx_pipeline_tests.support.workers import (
    in_the_middle,
    launch_asked,
    new_user,
    pid_of,
    request_status,
    rows,
    stuck_user,
)


def test_a_worker_that_stops_finishes_or_hands_back_its_runs_and_leaves_the_others(
    system: System, simulator: RunningSimulator
) -> None:
    worker = system.start_worker(2, CLUSTER_SHUTDOWN_TIMEOUT="10000").until_ready()
    children = worker.children()
    request_id, hanging = launch_asked(system, stuck_user(system, simulator))
    in_the_middle(system, hanging)
    simulator.simulation.faults.latency_ms["alchemy"] = 500
    slow = system.launch(new_user(system))
    carried_by = in_the_middle(system, slow)
    waiting_request, waiting = launch_asked(system, new_user(system))

    # As a terminal does it: to every process of the group.
    os.killpg(worker.process.pid, signal.SIGINT)
    successor = system.start_worker(1)

    assert worker.process.wait(60) == 0
    assert psutil.wait_procs(children, timeout=30)[1] == []
    assert system.ended(slow, hanging) == ["SUCCESS", "FAILURE"]
    assert system.run(slow).tags[run_tags.WORKER] == carried_by
    assert "died while it carried the run" in system.messages(hanging)[-1]
    assert request_status(system.engine, request_id) == "pending"
    (handed_back,) = [line for line in worker.log.splitlines() if "handed back what was not done" in line]
    assert hanging in handed_back
    assert violations(system.engine) == []
    # What waited was not taken by the one that stopped: its successor has it.
    assert system.ended(waiting) == ["SUCCESS"]
    assert request_status(system.engine, waiting_request) == "done"
    assert pid_of(system.run(waiting).tags[run_tags.WORKER]) in {child.pid for child in successor.children()}

    # The successor is killed with all its processes in the middle of another run.
    user = stuck_user(system, simulator)
    request_id, run_id = launch_asked(system, user)
    carried_by = in_the_middle(system, run_id)

    successor.kill_all()

    def noticed() -> None:
        assert run_id in close_lost(system.runtime, system.instance, utc_now()).runs

    eventually(noticed)
    assert system.ended(run_id) == ["FAILURE"]
    assert f"Worker {carried_by} died" in system.messages(run_id)[-1]
    assert operation(system.engine, user).error_code == "sync_worker_lost"
    assert request_status(system.engine, request_id) == "pending"
    assert status(system.engine, user).next_sync_at <= utc_now()
    assert rows(system.engine, "SELECT id FROM worker_processes") == []
    assert violations(system.engine) == []


def test_an_idle_worker_that_is_told_twice_ends(system: System) -> None:
    worker = system.start_worker(1).until_ready()

    for _ in range(2):
        worker.process.send_signal(signal.SIGTERM)

    assert worker.process.wait(60) == 0
