"""``moonx sync``, ``pause`` and ``resume`` as an operator types them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine

from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import PLAIN_WALLET, POLYGON_WALLET
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.requests.dispatches import dispatch_next
from moonx_pipeline.sync.requests.ask import ask_for_sync
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline_tests.support.commands import ROOT, moonx
from moonx_pipeline_tests.support.syncs import operation, register, sync


@pytest.fixture
def environment(database_url: str) -> dict[str, str]:
    return {"DATABASE_URL": database_url, "DAGSTER_HOME": str(ROOT)}


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path):
    def command(*arguments: str, **more: str):
        return moonx(*arguments, cwd=tmp_path, **environment, **more)

    return command


@contextmanager
def serving(runtime: Runtime) -> Iterator[None]:
    """Syncs for every request that comes, as runs on a worker do."""
    stopped = threading.Event()

    def serve() -> None:
        while not stopped.wait(0.02):
            with runtime.db.engine.begin() as connection:
                launches = dispatch_next(connection, batch=10, capacity=10)
            for launch in launches:
                sync(runtime, launch.user_id, request_id=launch.request_id)

    server = threading.Thread(target=serve)
    server.start()
    try:
        yield
    finally:
        stopped.set()
        server.join()


def requests_of(engine: Engine):
    with engine.connect() as connection:
        return connection.exec_driver_sql(
            "SELECT user_id, source, priority, status FROM sync_requests ORDER BY user_id"
        ).all()


def test_it_asks_follows_each_sync_to_its_end_and_says_what_came_of_it(run, engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", PLAIN_WALLET)
    register(engine, "bob", POLYGON_WALLET)
    with serving(runtime):
        done = run("sync", "ann", "bob", "ann", "--wait")

    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert [line.partition(", request ")[0] for line in said[:2]] == ["ann: asked", "bob: asked"]
    assert any(re.fullmatch(r"ann: completed in [\d.]+ s, \$17,325\.13", line) for line in said)
    assert re.fullmatch(r"2 completed in [\d.]+ s\.", said[-1])
    assert operation(engine).trigger == "manual"
    assert requests_of(engine) == [("ann", "cli", "high", "done"), ("bob", "cli", "high", "done")]


def test_partial_failed_and_refused_syncs_have_exit_codes_and_reasons_of_their_own(
    run, engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    register(engine, "bob", POLYGON_WALLET)
    with serving(runtime):
        simulator.fault("partial_error", network="polygon-mainnet")
        simulator.fault("outage", network="polygon-mainnet", endpoint="eth_getBalance")
        partial = run("sync", "bob", "--wait", "--json")
        simulator.simulation.faults.clear()
        simulator.fault("quota")
        failed = run("sync", "ann", "--wait")

    assert partial.returncode == 3, partial.stderr
    document = json.loads(partial.stdout)
    (entry,) = document["requests"]
    ended = operation(engine, "bob")
    assert document["outcomes"] == {"partial": 1}
    assert (entry["userId"], entry["status"], entry["outcome"]) == ("bob", "done", "partial")
    assert entry["operationId"] == str(ended.id)
    assert entry["message"].startswith("Not read: Polygon (")
    assert re.fullmatch(r"\d+(\.\d+)?", entry["totalValueUsd"])
    assert failed.returncode == 1
    assert re.search(r"ann: failed in [\d.]+ s\. Not read: Ethereum, Polygon", failed.stdout)

    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE user_sync_status SET is_sync_enabled = false WHERE user_id = 'ann'")
    refused = run("sync", "ann", "--json")
    assert refused.returncode == 1
    (entry,) = json.loads(refused.stdout)["requests"]
    assert (entry["status"], entry["requestId"]) == ("refused", None)
    assert "are disabled" in entry["message"]


def test_a_dagster_that_is_away_is_said_on_stderr_and_leaves_the_document_as_it_is(run, engine: Engine) -> None:
    register(engine, "bob", POLYGON_WALLET)

    done = run("sync", "bob", "--json", DAGSTER_GRAPHQL_URL="http://127.0.0.1:1/graphql")

    assert done.returncode == 0, done.stderr
    assert "Dagster can't be reached." in done.stderr
    (entry,) = json.loads(done.stdout)["requests"]
    assert (entry["userId"], entry["status"]) == ("bob", "pending")
    assert requests_of(engine) == [("bob", "cli", "high", "pending")]


def test_a_person_has_five_requests_and_is_told_until_when_there_is_no_other(run, engine: Engine) -> None:
    register(engine, "ann", PLAIN_WALLET)
    register(engine, "bob", PLAIN_WALLET)
    for _ in range(5):
        assert ask_for_sync(
            engine, Settings.from_environment({}), "ann", source="api", priority="medium", limited=True
        ).is_new
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE sync_requests SET status = 'done'")

    done = run("sync", "ann", "bob")

    assert done.returncode == 1
    assert re.search(r"User 'ann' has asked for 5 syncs .* no other until \d\d:\d\d:\d\d UTC\.", done.stderr)
    assert done.stdout.startswith("bob: asked, request ")


def test_what_is_asked_wrongly_is_refused_with_what_to_do_and_asks_nothing(run, engine: Engine) -> None:
    register(engine, "ann", PLAIN_WALLET)
    register(engine, "bartholomew", PLAIN_WALLET)

    unknown = run("sync", "ann", "bartolomew", "zoe")

    assert unknown.returncode == 2
    assert unknown.stderr == (
        "moonx: There is no user 'bartolomew' (did you mean 'bartholomew'?), 'zoe': 'moonx user list' shows who "
        "there is, 'moonx user add USER ADDRESS' registers one. Nothing was asked.\n"
    )
    for arguments, said in (
        (("ann", "--all"), "USER and --all exclude each other"),
        ((), "Whose sync? Name users, or select them by --all, --stale or --failed."),
    ):
        done = run("sync", *arguments)
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert requests_of(engine) == []


def test_a_selection_is_asked_for_at_low_priority_and_at_no_bodys_limit(run, engine: Engine, runtime: Runtime) -> None:
    for user in ("ann", "bob", "cyd"):
        register(engine, user, PLAIN_WALLET)
    sync(runtime, "ann")

    stale = run("sync", "--stale")
    failed = run("sync", "--failed")
    with serving(runtime):
        every = run("sync", "--all", "--wait")

    assert stale.stdout == "Asked for 2 syncs at low priority.\n"
    assert failed.stdout == "No user's last sync failed: nothing was asked. 'moonx user list' shows who there is.\n"
    assert every.returncode == 0, every.stderr
    assert "3 completed in " in every.stdout
    assert {tuple(row) for row in requests_of(engine)} == {
        (user, "backfill", "low", "done") for user in ("ann", "bob", "cyd")
    }


@pytest.fixture
def waiting(environment: dict[str, str], engine: Engine, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A command that waits for a sync that nobody serves."""
    register(engine, "ann", PLAIN_WALLET)
    process = subprocess.Popen(
        [sys.executable, "-m", "moonx_pipeline", "sync", "ann", "--wait"],
        env={**os.environ, **environment},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


def test_it_says_when_nobody_serves_and_ctrl_c_leaves_the_requests(
    waiting: subprocess.Popen[str], engine: Engine
) -> None:
    assert waiting.stderr is not None
    first = waiting.stderr.readline()
    waiting.send_signal(signal.SIGINT)
    _, rest = waiting.communicate(timeout=60)

    assert first == "No worker process lives, so nobody serves it yet: 'make up' starts all, 'moonx worker' one.\n"
    assert waiting.returncode == 130, rest
    assert rest.endswith("moonx: stopped.\n")
    assert [tuple(row) for row in requests_of(engine)] == [("ann", "cli", "high", "pending")]


def test_a_database_that_breaks_off_is_one_sentence_and_leaves_the_requests(
    waiting: subprocess.Popen[str], engine: Engine
) -> None:
    with autocommit(engine) as connection:
        cut = (
            "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE application_name = 'moonx' "
            "AND datname = current_database() AND query LIKE '%%followed_requests%%' AND pid <> pg_backend_pid()"
        )
        while not connection.exec_driver_sql(cut).scalar_one() and waiting.poll() is None:
            pass
    _, said = waiting.communicate(timeout=60)

    assert waiting.returncode == 1, said
    assert re.search(r"moonx: The database broke the connection, .* The requests stay, and are served: 'moonx", said)
    assert "Traceback" not in said
    assert [tuple(row) for row in requests_of(engine)] == [("ann", "cli", "high", "pending")]


def test_a_pause_is_told_to_who_asks_and_ends_with_resume(run, engine: Engine) -> None:
    register(engine, "ann", PLAIN_WALLET)

    paused = run("pause", "--reason", "The provider moves.")
    again = run("pause", "--reason", "It takes longer")
    asked = run("sync", "ann")
    resumed = run("resume")

    assert run("pause", "--reason", " ").returncode == 2
    assert paused.stdout == "All syncs are paused: requests wait until 'moonx resume'. What runs already goes on.\n"
    assert re.fullmatch(r"Syncs are paused already, since \S+Z; the reason is now: It takes longer\n", again.stdout)
    assert re.search(r"All syncs are paused since \S+Z by \S+: It takes longer\. 'moonx resume'", asked.stderr)
    assert re.fullmatch(
        r"Syncs go on\. They were paused since \S+Z by \S+@\S+: It takes longer\. 1 request waited\.\n", resumed.stdout
    )
    assert run("resume").stdout == "Syncs are not paused: nothing to do.\n"


def test_asking_does_not_wait_for_dagster_to_be_imported(
    environment: dict[str, str], engine: Engine, tmp_path: Path
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    code = (
        "import sys\nfrom moonx_pipeline.cli import cli\ncli.main(['sync', 'ann'], standalone_mode=False)\n"
        "sys.exit('dagster' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, cwd=tmp_path, capture_output=True, check=False
    )
    assert (done.returncode, requests_of(engine)[0].status) == (0, "pending"), done.stderr
