"""Workers below Dagster's own daemon and webserver: clicks, backfills, a worker that is gone."""

import logging
import uuid
from collections.abc import Iterator

import pytest
from dagster._core.execution.backfill import cancel_backfill_runs_and_cancellation_complete

from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.sync import run_tags
from moonx_pipeline_tests.fixtures.dagster import System, Worker, eventually, running_system
from moonx_pipeline_tests.support.syncs import operation, violations
from moonx_pipeline_tests.support.workers import ask, in_the_middle, new_user, rows, stuck_user

_TERMINATE = """mutation T($run: String!, $how: TerminateRunPolicy!) {
  terminateRun(runId: $run, terminatePolicy: $how) { __typename } }"""

_AGAIN = """mutation A($run: String!) {
  launchRunReexecution(reexecutionParams: {parentRunId: $run, strategy: ALL_STEPS, useParentRunTags: true}) {
    __typename ... on LaunchRunSuccess { run { runId } } } }"""


@pytest.fixture(scope="module")
def deployment(
    postgres_server: str, simulator_server: RunningSimulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[System, Worker]]:
    with running_system(postgres_server, simulator_server, tmp_path_factory.mktemp("deployment")) as system:
        worker = system.start_worker(2)
        system.start_dagster()
        yield system, worker.until_ready()


@pytest.fixture
def system(deployment: tuple[System, Worker]) -> System:
    return deployment[0]


@pytest.fixture
def worker(deployment: tuple[System, Worker]) -> Worker:
    return deployment[1]


def test_runs_are_launched_and_terminated_from_dagsters_pages(
    system: System, worker: Worker, simulator: RunningSimulator
) -> None:
    stuck = system.ask_for_run(stuck_user(system, simulator))
    in_the_middle(system, stuck)

    click = system.ask_for_run(new_user(system))
    assert system.ended(click) == ["SUCCESS"]
    answer = system.ask(_TERMINATE, run=stuck, how="SAFE_TERMINATE")

    assert answer["terminateRun"]["__typename"] == "TerminateRunSuccess"
    assert system.ended(stuck) == ["CANCELED"]
    assert violations(system.engine) == []


def test_a_run_that_is_executed_again_is_a_sync_of_its_own(
    system: System, worker: Worker, simulator: RunningSimulator
) -> None:
    user = new_user(system)
    request_id = ask(system.engine, user)
    first = system.ask_for_run(user, **{run_tags.REQUEST: request_id})
    assert system.ended(first) == ["SUCCESS"]

    answer = system.ask(_AGAIN, run=first)

    again = answer["launchRunReexecution"]["run"]["runId"]
    assert system.ended(again) == ["SUCCESS"]
    assert operation(system.engine, user).dagster_run_id == again
    assert rows(
        system.engine, "SELECT id::text, status, sync_operation_id::text FROM sync_requests WHERE user_id = %s", user
    ) == [(request_id, "done", first)]
    assert violations(system.engine) == []


def test_clicks_overtake_a_backfill_which_can_be_cancelled(
    system: System, worker: Worker, simulator: RunningSimulator
) -> None:
    backfill = uuid.uuid4().hex[:8]
    users = [stuck_user(system, simulator) for _ in range(5)]

    runs = [system.launch(user, **{run_tags.BACKFILL: backfill}) for user in users]
    first = eventually(lambda: one_that_is_started(system, runs))
    in_the_middle(system, first)
    clicks = [system.ask_for_run(new_user(system)) for _ in range(3)]

    assert system.ended(*clicks) == ["SUCCESS"] * 3
    assert sorted(system.status(run_id) for run_id in runs) == ["QUEUED"] * 4 + ["STARTED"]

    # What Dagster's daemon does every half a minute for a backfill that was cancelled on its page.
    eventually(lambda: cancelled(system, backfill))
    assert system.ended(*runs) == ["CANCELED"] * 5
    assert len(rows(system.engine, "SELECT 1 FROM sync_operations WHERE user_id = ANY(%s)", users)) == 1
    assert violations(system.engine) == []


def one_that_is_started(system: System, runs: list[str]) -> str:
    (started,) = [run_id for run_id in runs if system.status(run_id) == "STARTED"] or [""]
    assert started
    return started


def cancelled(system: System, backfill: str) -> None:
    assert cancel_backfill_runs_and_cancellation_complete(system.instance, backfill, logging.getLogger())


def test_a_worker_that_is_gone_is_noticed_by_the_sensor(
    system: System, worker: Worker, simulator: RunningSimulator
) -> None:
    user = stuck_user(system, simulator)
    run_id = system.ask_for_run(user)
    carried_by = in_the_middle(system, run_id)

    worker.kill_all()

    assert system.ended(run_id) == ["FAILURE"]
    assert f"Worker {carried_by} died" in system.messages(run_id)[-1]
    assert operation(system.engine, user).error_code == "sync_worker_lost"
    assert violations(system.engine) == []
