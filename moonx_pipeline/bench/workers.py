"""The cost of the real job's runs on warm workers: throughput, time of a click, memory."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import psutil
import requests
from sqlalchemy import Engine
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from moonx_pipeline.bench.crowd import Crowd
from moonx_pipeline.bench.figures import Add
from moonx_pipeline.bench.setting import milliseconds
from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.server import free_port
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.sync import run_tags
from moonx_pipeline.sync.pipeline import SyncPipeline
from moonx_pipeline.sync.requests.ask import ask_for_sync
from moonx_pipeline.sync.requests.run_trigger import JOB, trigger_runs
from moonx_pipeline.sync.runtime import Runtime, open_runtime
from moonx_pipeline.sync.spec import SyncSpec

_TOGETHER: Final = 60
_MANY: Final = 500
_AT_ONCE: Final = 10
_CLICKS: Final = 40
_BY_SENSOR: Final = 5
_PROCESSES: Final = "4"
_ROOT: Final = Path(__file__).parents[2]

_LAUNCH: Final = "mutation L($run: ExecutionParams!) { launchRun(executionParams: $run) { __typename } }"

_DEFAULT_INSTANCE: Final = """
storage: {custom: {module: moonx_pipeline.defs.instance_storage, class: PooledStorage, config: {}}}
run_coordinator: {module: dagster._core.run_coordinator, class: DefaultRunCoordinator}
telemetry: {enabled: false}
"""


def runs(add: Add, many: Crowd) -> None:
    """Runs on the system as 'make up' starts it, and by Dagster's default launcher for comparison."""
    many.grow_to(_MANY + _TOGETHER)
    with whole_system() as (url, process):
        _serve(many, url, 1, 8)  # warms all processes
        add("single_runs_per_minute", on_workers := _rate(many, url, 10, _TOGETHER), "runs/min", ">= 200")
        clicks = [_click(many, url, number) for number in range(1, _CLICKS + 1)]
        add("request_to_commit_p50_ms", statistics.median(clicks), "ms", "<= 1000")
        add("request_to_commit_p95_ms", statistics.quantiles(clicks, n=20)[18], "ms", "<= 2000")
        slow = [_click(many, None, _CLICKS + number) for number in range(1, _BY_SENSOR + 1)]
        add("request_to_commit_by_sensor_p50_ms", statistics.median(slow), "ms", "<= 7000")
        before = _worker_megabytes(process)
        _serve(many, url, 1, _MANY)
        after = _worker_megabytes(process)
        add("worker_pss_mb", after, "MB", "<= 512")
        add("worker_pss_growth_mb_500_runs", after - before, "MB", "")
    with _default_launcher() as url:
        default = _rate_of_launches(many, url, 4)
    add("default_launcher_runs_per_minute", default, "runs/min", "")
    add("single_runs_over_default_launcher", on_workers / default, "x", ">= 12")


def chains(add: Add, many: Crowd) -> None:
    """Five chains in one sync against one chain; each chain has its own key, and so its own call."""
    many.grow_to(max(many.users, 1))
    shared = {name: value for name, value in many.environment.items() if name != "ALCHEMY_API_KEY"}
    taken = {}
    for names in (("ETHEREUM",), ("ETHEREUM", "POLYGON", "OPTIMISM", "ARBITRUM", "BASE")):
        keys = {f"ALCHEMY_API_KEY_{name}": f"simulator-{name}" for name in names}
        runtime = open_runtime(Settings.from_environment({**shared, **keys}), many.engine)
        taken[len(names)] = milliseconds(partial(_sync_unattended, runtime), 7)
    add("five_chains_over_one", taken[5] / taken[1], "x", "<= 1.3")


def _sync_unattended(runtime: Runtime) -> None:
    SyncPipeline(runtime).run(SyncSpec(uuid.uuid4(), "user1", "schedule"))


def _rate(many: Crowd, url: str, first: int, count: int) -> float:
    """Runs a minute, for this many requests at once."""
    started = time.perf_counter()
    _serve(many, url, first, count)
    return count / (time.perf_counter() - started) * 60


def _rate_of_launches(many: Crowd, url: str, count: int) -> float:
    """Runs a minute, for this many launched at once as Dagster's pages do; a launcher may answer slowly."""
    before, started = _runs_done(many.engine), time.perf_counter()
    for number in range(1, count + 1):
        tags = [{"key": run_tags.PARTITION, "value": f"user{number}"}]
        run = {"selector": JOB, "executionMetadata": {"tags": tags}, "runConfigData": {}, "mode": "default"}
        requests.post(url, json={"query": _LAUNCH, "variables": {"run": run}}, timeout=60).raise_for_status()
    _await_runs(many, before + count)
    return count / (time.perf_counter() - started) * 60


def _serve(many: Crowd, url: str, first: int, count: int) -> None:
    """Asks for users' syncs, dispatches them, and waits for the last to end."""
    names = [f"user{number}" for number in range(first, first + count)]
    before = _runs_done(many.engine)
    for start in range(0, count, _AT_ONCE):
        trigger_runs(many.engine, url, [_ask(many, name) for name in names[start : start + _AT_ONCE]])
    _await_runs(many, before + count)


def _await_runs(many: Crowd, done: int) -> None:
    end = time.monotonic() + 300
    while _runs_done(many.engine) < done:
        if time.monotonic() > end:
            raise RuntimeError("The benchmark's runs did not end.")
        time.sleep(0.05)


def _ask(many: Crowd, user_id: str) -> uuid.UUID:
    asked = ask_for_sync(many.engine, many.settings, user_id, source="api", priority="high", limited=False)
    if asked.request_id is None:
        raise RuntimeError(f"The benchmark's request was refused: {asked.refusal}")
    return asked.request_id


def _runs_done(engine: Engine) -> int:
    with engine.connect() as connection:
        good, bad = connection.exec_driver_sql(
            "SELECT count(*) FILTER (WHERE status = 'SUCCESS'), count(*) FILTER (WHERE status = 'FAILURE') "
            "FROM dagster.runs"
        ).one()
    if bad:
        raise RuntimeError("A run of the benchmark failed.")
    return int(good)


def _click(many: Crowd, url: str | None, number: int) -> float:
    """Milliseconds from the request for a sync until its result is stored."""
    started = time.perf_counter()
    request = _ask(many, f"user{number}")
    trigger_runs(many.engine, url, [request])
    with autocommit(many.engine) as connection:
        while (
            connection.exec_driver_sql("SELECT status FROM sync_requests WHERE id = %s", (request,)).scalar_one()
            != "done"
        ):
            time.sleep(0.01)
    return (time.perf_counter() - started) * 1000


def _worker_megabytes(system: psutil.Process) -> float:
    """Memory of the worker and its processes; shared memory counts once."""
    worker = next(child for child in system.children(recursive=True) if "worker" in child.cmdline()[-1:])
    return sum(process.memory_full_info().pss for process in (worker, *worker.children(recursive=True))) / 2**20


@contextmanager
def whole_system(**settings: str) -> Iterator[tuple[str, psutil.Process]]:
    """``moonx up`` with four processes and no schedules; gives its GraphQL URL and process once Dagster answers."""
    port = free_port()
    environment = {
        **os.environ,
        "WEBSERVER_PORT": str(port),
        "GATEWAY_PORT": str(free_port()),
        "WORKER_CONCURRENCY": _PROCESSES,
        "WORKER_MAX_JOBS": "1000000",
        "PERIODIC_SYNC_ENABLED": "false",
        "DAGSTER_HOME": str(_ROOT),
        **settings,
    }
    with _running([sys.executable, "-m", "moonx_pipeline", "up"], environment, port) as process:
        yield f"http://127.0.0.1:{port}/graphql", process


@contextmanager
def _default_launcher() -> Iterator[str]:
    """Dagster's pages on an instance that starts a process for each run."""
    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / "dagster.yaml").write_text(_DEFAULT_INSTANCE)
        environment = {**os.environ, "DAGSTER_HOME": home}
        command = ["-m", "dagster_webserver", "-p", str(port), "-w", str(_ROOT / "workspace.yaml")]
        with _running([sys.executable, *command], environment, port):
            yield f"http://127.0.0.1:{port}/graphql"


@contextmanager
def _running(command: list[str], environment: dict[str, str], port: int) -> Iterator[psutil.Process]:
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await_location(port)
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


@retry(
    retry=retry_if_exception_type((requests.RequestException, KeyError, IndexError, TypeError)),
    wait=wait_fixed(0.3),
    stop=stop_after_delay(90),
    reraise=True,
)
def _await_location(port: int) -> None:
    query = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }"
    answer = requests.post(f"http://127.0.0.1:{port}/graphql", json={"query": query}, timeout=10).json()
    answer["data"]["repositoriesOrError"]["nodes"][0]
