"""A deployment on a Friday: every part is restarted while hundreds of syncs go on, and nothing is lost.

The parts are the wheel's, in the environment that the image gets, on a real PostgreSQL, Redis and Kafka, and each takes
its settings from a file.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import Engine

from moonx_pipeline.domain.event_types import TOPIC_NAMES
from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.server import RunningSimulator, free_port
from moonx_pipeline.simulator.tokens import derived_address
from moonx_pipeline.storage.connection.engine import open_engine
from moonx_pipeline_tests.deploy.conftest import Image
from moonx_pipeline_tests.deploy.tools import ROOT
from moonx_pipeline_tests.fixtures.dagster import eventually
from moonx_pipeline_tests.fixtures.gateway import AUDIENCE, ISSUER, SECRET, token_of
from moonx_pipeline_tests.fixtures.kafka import KafkaTopics
from moonx_pipeline_tests.fixtures.simulator import UNLIMITED
from moonx_pipeline_tests.support.outbox import consume, unpublished_count
from moonx_pipeline_tests.support.syncs import register, violations

pytestmark = pytest.mark.timeout(900)

USERS = [f"friday-{number:03}" for number in range(80)]
PARTS = ("code", "webserver", "daemon", "worker-1", "worker-2", "relay", "gateway")
OURS = ("worker-1", "worker-2", "relay", "gateway")


class Deployment:
    """Every part of the system, each a process with a file of settings."""

    def __init__(self, programs: Path, folder: Path, settings: dict[str, str]) -> None:
        self._programs = programs
        self._folder = folder
        self.ports = {name: free_port() for name in PARTS}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        shutil.copy(ROOT / "dagster.yaml", folder)
        workspace = {"host": "127.0.0.1", "port": self.ports["code"], "location_name": "moonx"}
        (folder / "workspace.yaml").write_text(json.dumps({"load_from": [{"grpc_server": workspace}]}))
        common = {**settings, "DAGSTER_GRAPHQL_URL": f"{self.url('webserver')}/graphql"}
        for name in (*PARTS, "operator"):
            port = str(self.ports.get(name, 0))
            own = {"GATEWAY_PORT": str(self.ports["gateway"]), "METRICS_PORT": port, "RELAY_METRICS_PORT": port}
            lines = [f"{key}='{value}'\n" for key, value in {**common, **own}.items()]
            self._settings_of(name).write_text("".join(lines))

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def _settings_of(self, name: str) -> Path:
        return self._folder / f"{name}.env"

    def _environment(self, name: str) -> dict[str, str]:
        return {
            "PATH": f"{self._programs}:/usr/bin:/bin",
            "HOME": str(self._folder),
            "DAGSTER_HOME": str(self._folder),
            "MOONX_ENV_FILE": str(self._settings_of(name)),
        }

    def _command(self, name: str) -> list[str]:
        where = ["-h", "127.0.0.1", "-p", str(self.ports[name])]
        dagster = {
            "code": ["dagster", "code-server", "start", "-m", "moonx_pipeline.definitions", *where],
            "webserver": ["dagster-webserver", "-w", "workspace.yaml", *where],
            "daemon": ["dagster-daemon", "run", "-w", "workspace.yaml"],
        }
        return dagster.get(name) or ["moonx", name.partition("-")[0]]

    def start(self, *names: str) -> None:
        for name in names:
            program, *arguments = self._command(name)
            self.processes[name] = subprocess.Popen(
                [self._programs / program, *arguments],
                env=self._environment(name),
                cwd=self._folder,
                stdout=(self._folder / f"{name}.log").open("ab"),
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def log(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text()[-4000:]

    def until_healthy(self, *names: str) -> None:
        for name in names:
            eventually(partial(self._healthy, name), seconds=180, pause=0.5)

    def _healthy(self, name: str) -> None:
        if self.processes[name].poll() is not None:
            pytest.fail(f"{name} ended by itself: {self.log(name)}")
        if name in OURS:
            answer = requests.get(f"{self.url(name)}/health/ready", timeout=5)
            assert answer.status_code == 200, answer.text
        elif name == "webserver":
            assert requests.get(f"{self.url(name)}/server_info", timeout=5).status_code == 200
            query = {"query": "{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }"}
            found = requests.post(f"{self.url(name)}/graphql", json=query, timeout=20).json()
            assert found["data"]["repositoriesOrError"].get("nodes"), found
        elif name == "code":
            check = ["dagster", "api", "grpc-health-check", "-p", str(self.ports[name])]
            assert self.run(*check).returncode == 0, self.log(name)

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of an operator."""
        return subprocess.run(
            [self._programs / program, *arguments],
            env=self._environment("operator"),
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """A ``moonx`` command that takes a while."""
        return subprocess.Popen(
            [self._programs / "moonx", *arguments],
            env=self._environment("operator"),
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def restart(self, name: str, how: signal.Signals = signal.SIGTERM) -> int:
        """Ends a part, and starts it again once it is gone; returns its exit code."""
        process = self.processes[name]
        process.send_signal(how)
        code = process.wait(60)
        self.start(name)
        self.until_healthy(name)
        return code

    def stop(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self.processes.values():
            try:
                process.wait(40)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)

    def click(self, user_id: str) -> str:
        """A sync that a person asks for; returns the id of the request."""
        answer = requests.post(
            f"{self.url('gateway')}/api/v1/sync/trigger",
            json={"priority": "high", "syncType": "manual", "forceRefresh": False},
            headers={"Authorization": f"Bearer {token_of(user_id)}"},
            timeout=20,
        )
        assert answer.status_code == 202, answer.text
        return str(answer.json()["data"]["requestId"])


@pytest.fixture
def engine(empty_database_url: str) -> Iterator[Engine]:
    engine = open_engine(empty_database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def deployment(
    image: Image,
    empty_database_url: str,
    redis_url: str,
    kafka_topics: KafkaTopics,
    simulator: RunningSimulator,
    tmp_path: Path,
) -> Iterator[Deployment]:
    settings = {
        **simulator.environment(),
        **UNLIMITED,
        **kafka_topics.environment,
        "DATABASE_URL": empty_database_url,
        "CELERY_BROKER_URL": redis_url,
        "MOONX_HOME": str(tmp_path / "home"),
        "WORKER_CONCURRENCY": "2",
        "JWT_SECRET": SECRET,
        "JWT_AUDIENCE": AUDIENCE,
        "JWT_ISSUER": ISSUER,
        "LOG_FORMAT": "json",
    }
    running = Deployment(Path(image.program("moonx")).parent, tmp_path, settings)
    yield running
    running.stop()


def counted(engine: Engine, sql: str) -> int:
    with engine.connect() as connection:
        count: int = connection.exec_driver_sql(sql).scalar_one()
    return count


def ended(engine: Engine) -> int:
    return counted(engine, "SELECT count(*) FROM sync_operations WHERE status IN ('completed', 'partial')")


def more_end(deployment: Deployment, engine: Engine, rounds: list[subprocess.Popen[str]], count: int = 5) -> None:
    """Waits until some more syncs have ended well; where a round of all users is over, another one begins."""
    before = ended(engine)

    def look() -> None:
        if not rounds or rounds[-1].poll() is not None:
            rounds.append(deployment.begin("sync", "--all", "--wait", "--json"))
        assert ended(engine) >= before + count

    eventually(look, seconds=120)


def none_waits(engine: Engine) -> None:
    assert counted(engine, "SELECT count(*) FROM sync_requests WHERE status IN ('pending', 'claimed')") == 0
    assert unpublished_count(engine) == 0


def test_every_part_is_restarted_while_syncs_go_on_and_no_event_is_lost_or_invented(
    deployment: Deployment, engine: Engine, kafka_topics: KafkaTopics, simulator: RunningSimulator
) -> None:
    migrated = deployment.run("moonx", "migrate")
    assert migrated.returncode == 0, migrated.stderr
    assert deployment.run("moonx", "user", "add", USERS[0], derived_address(USERS[0])).returncode == 0
    for user in USERS[1:]:
        register(engine, user, derived_address(user))
    deployment.start(*PARTS)
    deployment.until_healthy(*PARTS)

    rounds: list[subprocess.Popen[str]] = []
    clicks = []
    for number, name in enumerate(PARTS):
        more_end(deployment, engine, rounds)
        simulator.simulation.world.tick(number)  # all prices move
        code = deployment.restart(name, signal.SIGKILL if name == "worker-2" else signal.SIGTERM)
        assert name not in OURS or code == (-signal.SIGKILL if name == "worker-2" else 0), deployment.log(name)
        clicks.append(deployment.click(USERS[number]))
    for everybody in rounds:
        told, complaints = everybody.communicate(timeout=300)
        assert everybody.returncode == 0, complaints + told[-2000:]
    eventually(lambda: none_waits(engine), seconds=120)

    with engine.connect() as connection:
        outcomes = connection.exec_driver_sql(
            "SELECT r.id::text, o.status FROM sync_requests r JOIN sync_operations o ON o.id = r.sync_operation_id"
        ).all()
        outbox = connection.exec_driver_sql("SELECT id::text, key, type FROM outbox_events").all()
    assert Counter(status for _, status in outcomes) == {"completed": len(outcomes)}
    assert set(clicks) <= {request_id for request_id, _ in outcomes}

    kafka = Settings.from_environment(kafka_topics.environment).kafka
    records = consume(kafka, len(outbox), TOPIC_NAMES)
    published = [json.loads(record.value) for record in records]
    assert {event["eventId"] for event in published} == {row.id for row in outbox}
    assert_in_order(records)
    assert violations(engine) == []
    doctor = deployment.run("moonx", "doctor")
    assert doctor.returncode == 0, doctor.stdout
    deployment.until_healthy(*PARTS)
    assert_all_answers(deployment)


def assert_in_order(records: list[Any]) -> None:
    """Of each user, in the order in which his partition has them, whatever was sent twice."""
    seen: set[str] = set()
    last: dict[tuple[str, bytes], int] = {}
    for record in sorted(records, key=lambda record: (record.topic, record.partition, record.offset)):
        event = json.loads(record.value)
        if event["eventId"] not in seen:
            seen.add(event["eventId"])
            assert event["version"] >= last.get((record.topic, record.key), 0)
            last[record.topic, record.key] = event["version"]


def assert_all_answers(deployment: Deployment) -> None:
    ready = requests.get(f"{deployment.url('gateway')}/health/ready", timeout=10).json()
    assert {name: part["ok"] for name, part in ready["dependencies"].items()} == dict.fromkeys(
        ("database", "events", "workers", "daemon", "dagster"), True
    )
    for name in OURS:
        assert "dependency_up" in requests.get(f"{deployment.url(name)}/metrics", timeout=10).text
    paths = ["/docs", "/openapi.json"]
    if (ROOT / "moonx_pipeline" / "gateway" / "static" / "index.html").is_file():
        paths += ["/", "/admin"]
    for path in paths:
        assert requests.get(f"{deployment.url('gateway')}{path}", timeout=10).status_code == 200
    portfolio = requests.get(
        f"{deployment.url('gateway')}/api/v1/portfolio",
        headers={"Authorization": f"Bearer {token_of(USERS[-1])}"},
        timeout=10,
    ).json()["data"]
    assert portfolio["complete"]
