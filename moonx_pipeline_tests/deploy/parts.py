"""The commands of compose.yaml as processes of this machine."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import psutil
import pytest
import requests
import yaml

from moonx_pipeline.simulator.server import RunningSimulator, free_port
from moonx_pipeline_tests.deploy.conftest import OperatorsRedis, Postgres, public_folder
from moonx_pipeline_tests.deploy.tools import DEPLOY, compose_services
from moonx_pipeline_tests.fixtures.dagster import eventually
from moonx_pipeline_tests.fixtures.gateway import AUDIENCE, ISSUER, SECRET, token_of
from moonx_pipeline_tests.fixtures.kafka import KafkaBroker, KafkaTopics

COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
HERE = ("DB_HOST", "DB_PORT", "REDIS_HOST", "REDIS_PORT", "KAFKA_BROKERS")
"""Where services are: Compose has names of its own for them."""

OPERATORS_SECRETS = (
    "DB_PASSWORD", "DB_WORKER_PASSWORD", "DB_GATEWAY_PASSWORD", "DB_RELAY_PASSWORD", "REDIS_PASSWORD", "JWT_SECRET",
    "ALCHEMY_API_KEY", "GRAFANA_PASSWORD",
)  # fmt: skip
"""Secrets that the test's ``.env`` has."""


class Program(Protocol):
    """An image, however it was made: what runs its commands."""

    def start(self, *command: str, log: Path, **environment: str) -> subprocess.Popen[bytes]: ...

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]: ...


class Parts:
    """The commands of compose.yaml as processes of this machine, each with the environment that Compose gives it.

    Only addresses are of the test's own.

    Attributes:
        variables: What the operator's ``.env`` has.
    """

    def __init__(self, image: Program, folder: Path, variables: dict[str, str]) -> None:
        self._image = image
        self._folder = folder
        self.variables = variables
        self._services = compose_services(folder, variables)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._ports = {port: str(free_port()) for port in ("3000", "4000", "3007")}
        self._metrics = {name: str(free_port()) for name in COMPOSE}
        text = (DEPLOY / "workspace.yaml").read_text()
        (folder / "workspace.yaml").write_text(self._here(text.replace("code-server\n", "127.0.0.1\n"), ""))

    def _here(self, text: str, name: str) -> str:
        for port, here in {**self._ports, "3001": self._metrics.get(name, "")}.items():
            text = re.sub(rf"\b{port}\b", here, text)
        text = text.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - of a container
        return text.replace("/opt/moonx/workspace.yaml", f"{self._folder}/workspace.yaml")

    def settings(self, name: str) -> dict[str, str]:
        """A service's environment, with the addresses of this machine."""
        return {
            **{key: value for key, value in self._services[name]["environment"].items() if key != "MOONX_HOME"},
            **{place: self.variables[place] for place in HERE},
            "DAGSTER_GRAPHQL_URL": f"http://127.0.0.1:{self._ports['3000']}/graphql",
            "GATEWAY_HOST": "127.0.0.1",
            "GATEWAY_PORT": self._ports["3007"],
            "METRICS_HOST": "127.0.0.1",
            "GATEWAY_METRICS_PORT": self._metrics[name],
            "METRICS_PORT": self._metrics[name],
            "RELAY_METRICS_PORT": self._metrics[name],
        }

    def start(self, name: str, **settings: str) -> None:
        """Starts a service's command."""
        command = [self._here(word, name) for word in COMPOSE[name]["command"]]
        self.processes[name] = self._image.start(*command, log=self._log(name), **self.settings(name), **settings)

    def start_all(self, **of_dagster: str) -> None:
        """Starts every part in the order of compose.yaml; webserver and daemon with settings of their own."""
        for wave in (["code-server"], ["webserver", "daemon", "worker", "relay", "gateway"]):
            for name in wave:
                self.start(name, **(of_dagster if name in ("webserver", "daemon") else {}))
            for name in wave:
                self.until_healthy(name)

    def sync(self, user_id: str) -> None:
        """A user's first sync: asked for, started over GraphQL, handed to Redis, carried by the worker."""
        added = self._image.run("moonx", "user", "add", user_id, f"0x{'ab' * 20}", **self.settings("worker"))
        assert added.returncode == 0, added.stderr
        done = self._image.run("moonx", "sync", user_id, "--wait", **self.settings("worker"))
        assert done.returncode == 0, done.stdout + done.stderr + self.log("webserver") + self.log("worker")

    def asked(self, user_id: str, path: str) -> Any:
        """The data that the gateway answers a user."""
        url = f"http://127.0.0.1:{self._ports['3007']}/api/v1{path}"
        answer = requests.get(url, headers={"Authorization": f"Bearer {token_of(user_id)}"}, timeout=15)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def secrets_held(self, name: str) -> set[str]:
        """The operator's secrets that are in the environment of a service's process, by their names in ``.env``."""
        held = set(psutil.Process(self.processes[name].pid).environ().values())
        return {secret for secret in OPERATORS_SECRETS if self.variables[secret] in held}

    def until_healthy(self, name: str) -> None:
        """Waits until a service's own check says that it is healthy."""

        def healthy() -> None:
            if self.processes[name].poll() is not None:
                pytest.fail(f"{name} has ended: {self.log(name)[-4000:]}")
            check = [self._here(word, name) for word in COMPOSE[name]["healthcheck"]["test"][1:]]
            done = self._image.run(*check, **self.settings(name))
            assert done.returncode == 0, done.stderr + self.log(name)

        eventually(healthy, seconds=180, pause=1)  # each look is a process

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def log(self, name: str) -> str:
        return self._log(name).read_text()

    def stop(self, name: str) -> int:
        """Asks a service to end, as a container engine does; returns its exit code."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(60)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def operators_parts(
    image: Program, postgres: Postgres, redis: OperatorsRedis, kafka: KafkaBroker, simulator: RunningSimulator
) -> Iterator[Parts]:
    """Parts with an operator's services and secrets; those that still run are stopped in the end."""
    simulator.simulation.reset()
    variables: dict[str, str] = {
        **simulator.environment(),
        **KafkaTopics(kafka).environment,
        "DB_HOST": "127.0.0.1",
        "DB_PORT": str(postgres.port),
        "DB_PASSWORD": postgres.password,
        **{f"DB_{role}_PASSWORD": f"{secrets.token_hex(8)}/@:%" for role in ("WORKER", "GATEWAY", "RELAY")},
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(redis.port),
        "REDIS_PASSWORD": redis.password,
        "GRAFANA_PASSWORD": secrets.token_hex(8),
        "JWT_SECRET": SECRET,
        "JWT_AUDIENCE": AUDIENCE,
        "JWT_ISSUER": ISSUER,
        "WORKER_CONCURRENCY": "2",
    }
    with public_folder() as folder:
        running = Parts(image, folder, variables)
        try:
            yield running
        finally:
            for name in list(running.processes):
                running.stop(name)
