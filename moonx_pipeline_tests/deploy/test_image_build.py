"""The image, built by a container engine: what it says of itself, and its commands as compose.yaml starts them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from moonx_pipeline import __version__
from moonx_pipeline.cli import COMMANDS
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline_tests.deploy import engine
from moonx_pipeline_tests.deploy.conftest import OperatorsRedis, Postgres, public_folder
from moonx_pipeline_tests.deploy.engine import BuiltImage
from moonx_pipeline_tests.deploy.parts import COMPOSE, operators_parts
from moonx_pipeline_tests.fixtures.kafka import KafkaBroker

pytestmark = [pytest.mark.engine, pytest.mark.timeout(engine.BUILD_SECONDS)]


@pytest.fixture(scope="module")
def built() -> Iterator[BuiltImage]:
    engine.require_engine()
    tag = f"moonx-pipeline:{__version__}"
    engine.build(tag)
    container, folder, config = engine.mounted(tag)
    with public_folder() as temporary:
        temporary.chmod(0o1777)
        yield BuiltImage(folder, config, temporary)
    engine.remove(container)


def test_the_image_starts_the_gateway_as_nobody_and_is_looked_after(built: BuiltImage) -> None:
    assert built.config["User"] == "1001:1001"
    assert built.config["Cmd"] == ["moonx", "gateway"]
    assert built.config["WorkingDir"] == built.environment()["DAGSTER_HOME"] == "/opt/moonx"
    assert built.config["Healthcheck"]["Test"][0] == "CMD"


def test_a_command_can_write_nowhere_but_in_its_temporary_folder(built: BuiltImage) -> None:
    done = built.run("python", "-c", "import os; print(os.getuid()); open('/opt/moonx/x', 'w')")

    assert done.stdout == "1001\n"
    assert "Read-only file system" in done.stderr


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_of_the_built_image_starts(built: BuiltImage, command: str) -> None:
    done = built.run("moonx", command, "--help")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: moonx {command}")


@pytest.mark.parametrize("program", ["moonx", "dagster", "dagster-webserver", "dagster-daemon"])
def test_every_program_of_the_built_image_starts(built: BuiltImage, program: str) -> None:
    assert built.run(program, "--version").returncode == 0


def test_a_sync_goes_through_all_parts_of_the_built_image(
    built: BuiltImage,
    operators_postgres: Postgres,
    operators_redis: OperatorsRedis,
    kafka_server: KafkaBroker,
    simulator_server: RunningSimulator,
) -> None:
    with operators_parts(built, operators_postgres, operators_redis, kafka_server, simulator_server) as parts:
        migrated = built.run(*COMPOSE["migrate"]["command"], **parts.settings("migrate"))
        assert migrated.returncode == 0, migrated.stderr

        parts.start_all()
        parts.sync("u1")

        for name in list(parts.processes):
            assert parts.stop(name) == 0, parts.log(name)
