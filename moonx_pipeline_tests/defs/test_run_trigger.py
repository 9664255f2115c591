"""The run trigger: Dagster answers, does not, and beside the sensor."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import dagster as dg
import pytest

from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import PLAIN_WALLET
from moonx_pipeline.storage.requests.pause import pause, resume
from moonx_pipeline.sync.requests.ask import ask_for_many, ask_for_sync
from moonx_pipeline.sync.requests.run_trigger import trigger_runs
from moonx_pipeline.sync.requests.watch import follow
from moonx_pipeline_tests.fixtures.dagster import System, running_system
from moonx_pipeline_tests.support.sensor_ticks import Ticks, ask, let_time_pass, row
from moonx_pipeline_tests.support.syncs import register


def test_a_bell_that_nobody_hears_leaves_all_to_the_sensor_and_raises_nothing(
    ticks: Ticks, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = [ask(ticks.engine, user) for user in ("ann", "bob")]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        dead = f"http://127.0.0.1:{silent.getsockname()[1]}/graphql"
    assert trigger_runs(ticks.engine, dead, asked) == []
    assert trigger_runs(ticks.engine, None, asked) == []
    assert "Dagster can't be reached" in "".join(capfd.readouterr())
    assert {row(ticks.engine, request).launches for request in asked} == {0}

    assert {run_request.run_key for run_request in ticks.requested()} == set(map(str, asked))


def test_a_run_that_may_have_started_is_looked_for_and_not_started_twice(ticks: Ticks) -> None:
    doubtful, left = ask(ticks.engine, "ann"), ask(ticks.engine, "bob")
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:

        def hang_up() -> None:
            connection, _ = server.accept()
            connection.recv(65536)
            connection.close()

        hung_up = pool.submit(hang_up)
        assert trigger_runs(ticks.engine, f"http://127.0.0.1:{server.getsockname()[1]}/graphql", [doubtful, left]) == []
        hung_up.result()

    # One was asked for and nobody can tell; the other was not.
    (known,) = [r for r in (row(ticks.engine, doubtful), row(ticks.engine, left)) if r.launches == 1]
    (other,) = ticks.requested()
    assert other.tags["moonx/request"] != str(known.id)
    let_time_pass(ticks.engine)
    ticks.start(other, dg.DagsterRunStatus.STARTING)
    assert [run_request.run_key for run_request in ticks.requested()] == [f"{known.id}:2"]


@pytest.fixture
def system(postgres_server: str, simulator: RunningSimulator, tmp_path: Path) -> Iterator[System]:
    """The whole of it: webserver, daemon with this sensor, and a worker of two processes."""
    with running_system(postgres_server, simulator, tmp_path) as running:
        worker = running.start_worker(2)
        running.start_dagster()
        worker.until_ready()
        yield running


def test_asked_with_and_without_the_bell_each_request_is_one_run_that_syncs(system: System) -> None:
    engine, bell = system.engine, system.graphql
    users = [f"user{number}" for number in range(10)]
    for user in users:
        register(engine, user, PLAIN_WALLET)

    def ask_and_ring(user: str) -> UUID:
        asked = ask_for_sync(engine, system.settings, user, source="api", priority="high", limited=True)
        assert asked.request_id is not None
        trigger_runs(engine, bell, [asked.request_id])
        return asked.request_id

    # Not rung: asked for while syncs are paused, of low priority, or started already.
    with engine.begin() as connection:
        pause(connection, "The provider moves.", "ops")
    waiting = ask_and_ring(users[0])
    assert row(engine, waiting).launches == 0
    with engine.begin() as connection:
        resume(connection)
    (low,) = ask_for_many(engine, system.settings, [users[1]])
    with ThreadPoolExecutor(4) as pool:
        rung = list(pool.map(ask_and_ring, users[2:8]))
    asked = [ask_for_sync(engine, system.settings, user, source="cli", priority="medium", limited=True)
             for user in users[8:]]  # fmt: skip
    requests = [waiting, low.request_id, *rung, *(answer.request_id for answer in asked)]
    assert trigger_runs(engine, bell, rung) == []

    ends = {state.request_id: state for changed in follow(engine, requests) for state in changed if state.has_ended}

    assert {state.outcome for state in ends.values()} == {"completed"}
    assert ends.keys() == set(requests)
    runs = system.instance.get_runs(dg.RunsFilter(tags={"moonx/request": [str(request) for request in requests]}))
    assert Counter(run.tags["moonx/request"] for run in runs) == Counter(map(str, requests))
    assert set(system.ended(*(run.run_id for run in runs))) == {"SUCCESS"}
    assert {run.tags["dagster/partition"] for run in runs} == set(users)
    tags = {run.tags["moonx/user"]: (run.tags["moonx/trigger"], run.tags["moonx/priority"]) for run in runs}
    assert (tags[users[1]], tags[users[2]], tags[users[8]]) == (
        ("backfill", "low"),
        ("manual", "high"),
        ("manual", "medium"),
    )
