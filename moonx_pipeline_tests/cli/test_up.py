"""The whole system on one machine: started, used through Dagster's own API, and stopped."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests
from sqlalchemy import Engine
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from moonx_pipeline.simulator.server import RunningSimulator, free_port
from moonx_pipeline.simulator.world import EMPTY_WALLET, PLAIN_WALLET, POLYGON_WALLET
from moonx_pipeline_tests.support.commands import ROOT, moonx
from moonx_pipeline_tests.support.expected import expected
from moonx_pipeline_tests.support.syncs import held, operation

_LAUNCH = """mutation L($p: ExecutionParams!) { launchRun(executionParams: $p) {
  __typename ... on LaunchRunSuccess { run { runId } } } }"""
_BACKFILL = """mutation B($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p) {
  __typename ... on LaunchBackfillSuccess { backfillId } } }"""
_REPOSITORY = {"repositoryLocationName": "moonx", "repositoryName": "__repository__"}


class System:
    """A running system."""

    def __init__(self, process: subprocess.Popen[bytes], port: str, environment: dict[str, str]) -> None:
        self.process = process
        self.environment = environment
        self._url = f"http://127.0.0.1:{port}/graphql"

    @retry(retry=retry_if_exception_type((requests.RequestException, AssertionError)), wait=wait_fixed(0.3),
           stop=stop_after_delay(90), reraise=True)  # fmt: skip
    def wait_until_ready(self) -> None:
        assert self.process.poll() is None, "the system ended by itself"
        found = self.ask("{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }")
        assert found["repositoriesOrError"]["nodes"]

    def ask(self, query: str, **variables) -> dict:
        return requests.post(self._url, json={"query": query, "variables": variables}, timeout=10).json()["data"]


@pytest.fixture
def system(database_url: str, simulator: RunningSimulator, tmp_path: Path) -> Iterator[System]:
    port = str(free_port())
    environment = {
        **simulator.environment(),
        "DATABASE_URL": database_url,
        "MOONX_HOME": str(tmp_path / "home"),
        "DAGSTER_HOME": str(ROOT),
        "WEBSERVER_PORT": port,
        "GATEWAY_PORT": str(free_port()),
    }
    # Who runs tests without a terminal may ignore a hangup, and a child would inherit that.
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    process = subprocess.Popen(
        [sys.executable, "-m", "moonx_pipeline", "up"],
        env={**os.environ, **environment},
        cwd=tmp_path,
        stdout=(tmp_path / "up.log").open("wb"),
        stderr=subprocess.STDOUT,
    )
    signal.signal(signal.SIGHUP, before)
    running = System(process, port, environment)
    try:
        yield running
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(30)


@retry(retry=retry_if_exception_type(Exception), wait=wait_fixed(0.3), stop=stop_after_delay(90), reraise=True)
def synced(engine: Engine, user_id: str, trigger: str) -> None:
    ended = operation(engine, user_id)
    assert (ended.status, ended.trigger) == ("completed", trigger)


def test_runs_and_backfills_start_from_dagsters_pages_and_ctrl_c_stops_everything(
    system: System, engine: Engine, tmp_path: Path
) -> None:
    for user_id, wallet in (("ann", PLAIN_WALLET), ("bob", POLYGON_WALLET), ("cyd", EMPTY_WALLET)):
        assert moonx("user", "add", user_id, wallet, cwd=tmp_path, **system.environment).returncode == 0
    system.wait_until_ready()

    launched = system.ask(
        _LAUNCH,
        p={
            "selector": {**_REPOSITORY, "jobName": "portfolio_sync", "assetSelection": [{"path": ["portfolio"]}]},
            "executionMetadata": {"tags": [{"key": "dagster/partition", "value": "ann"}]},
            "runConfigData": {},
            "mode": "default",
        },
    )
    assert launched["launchRun"]["__typename"] == "LaunchRunSuccess"
    backfilled = system.ask(
        _BACKFILL,
        p={
            "selector": {"partitionSetName": "portfolio_sync_partition_set", "repositorySelector": _REPOSITORY},
            "partitionNames": ["bob", "cyd"],
        },
    )
    assert backfilled["launchPartitionBackfill"]["__typename"] == "LaunchBackfillSuccess"

    synced(engine, "ann", "manual")
    synced(engine, "bob", "backfill")
    synced(engine, "cyd", "backfill")
    assert held(engine, "ann") == expected(PLAIN_WALLET)
    assert held(engine, "bob") == expected(POLYGON_WALLET)

    children = psutil.Process(system.process.pid).children(recursive=True)
    system.process.send_signal(signal.SIGINT)
    system.process.wait(60)
    assert psutil.wait_procs(children, timeout=30)[1] == []


def test_a_kill_leaves_no_process_behind(system: System) -> None:
    system.wait_until_ready()
    children = psutil.Process(system.process.pid).children(recursive=True)
    assert len(children) > 10

    system.process.kill()

    system.process.wait(30)
    assert psutil.wait_procs(children, timeout=30)[1] == []


def test_a_hangup_ends_every_process(system: System) -> None:
    """As a terminal that is closed sends it."""
    system.wait_until_ready()
    children = psutil.Process(system.process.pid).children(recursive=True)
    assert len(children) > 10

    system.process.send_signal(signal.SIGHUP)

    assert system.process.wait(60) == 0, "it was ended by the signal, and did not end by itself"
    assert psutil.wait_procs(children, timeout=30)[1] == []


def test_a_port_that_is_taken_is_named_with_its_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = moonx("up", cwd=tmp_path, WEBSERVER_PORT=port, DATABASE_URL="postgresql://127.0.0.1:1/none")

    assert (done.returncode, done.stderr) == (1, f"moonx: Port {port} is taken: set WEBSERVER_PORT to a free one.\n")
