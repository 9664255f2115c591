"""A real Prometheus looks at a worker and a gateway: it sees what happens, and asks for nothing in vain."""

import math
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import yaml

from moonx_pipeline.simulator.server import RunningSimulator, free_port
from moonx_pipeline_tests.deploy_monitoring.monitoring import RULES, expressions, tool
from moonx_pipeline_tests.fixtures.dagster import System, Worker, eventually, running_system
from moonx_pipeline_tests.fixtures.gateway import running_gateway
from moonx_pipeline_tests.support.samples import samples
from moonx_pipeline_tests.support.workers import new_user

_MAY_BE_EMPTY = {
    "Failures by reason A": "no sync failed",
    "Calls that failed, by chain A": "no call failed",
    "Left alone for A": "no provider asked for it",
    "Open for A": "all breakers are closed",
    "Kafka's acknowledgement, 95 of 100 A": "there is no Kafka here",
    "Portfolios older than ten minutes A": "of market hours only",
    "Portfolios older than ten minutes B": "of market hours only",
    "Portfolios older than ten minutes C": "of market hours only",
}
"""Panels that have nothing to show after some syncs that went well, and why."""


class Prometheus:
    """A Prometheus that runs."""

    def __init__(self, url: str) -> None:
        self._url = url

    def ask(self, path: str, **parameters: str) -> Any:
        answer = requests.get(f"{self._url}/api/v1/{path}", params=parameters, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def values(self, expression: str) -> list[float]:
        """The values of an expression now, without those that are none."""
        found = self.ask("query", query=expression)["result"]
        return [value for sample in found if not math.isnan(value := float(sample["value"][1]))]

    def firing(self) -> set[str]:
        return {alert["labels"]["alertname"] for alert in self.ask("alerts")["alerts"] if alert["state"] == "firing"}


@pytest.fixture(scope="module")
def system(
    postgres_server: str, simulator_server: RunningSimulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("prometheus-system")
    with running_system(postgres_server, simulator_server, folder, METRICS_PORT=str(free_port())) as running:
        yield running


@pytest.fixture(scope="module")
def gateway_port(system: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    settings = {"MONITORING_METRICS_INTERVAL": "1000", "ALCHEMY_MONTHLY_COMPUTE_UNITS": "30000000"}
    folder = tmp_path_factory.mktemp("gateway")
    with running_gateway(system.environment["DATABASE_URL"], folder, **settings) as running:
        yield running.port


@pytest.fixture(scope="module")
def prometheus(system: System, gateway_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """One that looks every second and waits for nothing before it fires."""
    program, folder = tool("prometheus"), tmp_path_factory.mktemp("prometheus")
    rules = yaml.safe_load(RULES.read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule.pop("for", None)
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
    ports = {"worker": system.environment["METRICS_PORT"], "gateway": str(gateway_port)}
    jobs = [{"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]} for job, port in ports.items()]
    every = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config = {"global": every, "rule_files": ["rules.yaml"], "scrape_configs": jobs}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    process = subprocess.Popen(
        [program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
         f"--web.listen-address=127.0.0.1:{port}"],
        stdout=(folder / "log").open("wb"),
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    running = Prometheus(f"http://127.0.0.1:{port}")
    try:
        eventually(lambda: running.ask("status/runtimeinfo"))
        yield running
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def worker(system: System, prometheus: Prometheus) -> Worker:
    """A worker; it is looked at from before its processes begin, so what they do is seen to grow."""
    worker = system.start_worker(2)
    eventually(lambda: seen(prometheus, 'up{job="worker"} == 1'))
    return worker.until_ready()


def seen(prometheus: Prometheus, expression: str) -> list[float]:
    values = prometheus.values(expression)
    assert values, expression
    return values


def test_every_panel_shows_something_after_some_syncs(
    system: System, worker: Worker, prometheus: Prometheus, gateway_port: int, simulator: RunningSimulator
) -> None:
    for done in (2, 4):  # in two parts: a rate is seen only of what was seen before
        runs = [system.launch(new_user(system)) for _ in range(2)]
        assert system.ended(*runs) == ["SUCCESS"] * len(runs)
        seen_syncs = f'sum(sync_jobs_processed_total{{job="worker", status="completed"}}) == {done}'
        eventually(lambda expression=seen_syncs: seen(prometheus, expression))
    eventually(lambda: seen(prometheus, "max(users_active) == 4"))

    asked = expressions()
    assert asked.keys() >= _MAY_BE_EMPTY.keys()
    for panel in asked.keys() - _MAY_BE_EMPTY.keys():
        eventually(lambda panel=panel: seen(prometheus, asked[panel]), seconds=20)
    for panel in _MAY_BE_EMPTY:  # it has nothing to show, and is right all the same
        prometheus.values(asked[panel])
    assert samples(f"http://127.0.0.1:{gateway_port}").total("provider_compute_units_quota") == 30_000_000


def test_a_worker_that_is_killed_is_told_of_until_it_is_back(
    system: System, worker: Worker, prometheus: Prometheus
) -> None:
    def quiet() -> None:
        assert "SyncWorkerDown" not in prometheus.firing()

    def told() -> None:
        assert "SyncWorkerDown" in prometheus.firing()

    eventually(quiet)
    worker.kill_all()
    eventually(told)
    again = system.start_worker(2)
    eventually(quiet, seconds=60)
    again.until_ready()
