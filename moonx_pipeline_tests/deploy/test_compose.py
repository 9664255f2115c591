"""The Compose file: what its own loader makes of it, and what holds for every service."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from moonx_pipeline import __version__
from moonx_pipeline.cli import COMMANDS
from moonx_pipeline.cli.config import environment_example
from moonx_pipeline.settings.load import Settings, known_names, rows
from moonx_pipeline_tests.deploy.tools import BUILD_SECONDS, DEPLOY, ROOT, load_compose

pytestmark = pytest.mark.timeout(BUILD_SECONDS)

OURS = {"gateway", "worker", "relay", "migrate", "code-server", "webserver", "daemon"}
THEIRS = {"postgresql", "redis", "kafka", "prometheus", "grafana"}
SECRETS = {"DB_PASSWORD": "pa ss:w/rd@1", "REDIS_PASSWORD": "r3d/is", "GRAFANA_PASSWORD": "gr4fana"}
_VARIABLE = re.compile(r"\$\{(\w+):([?-])([^}]*)\}")


def _filled(text: str) -> str:
    """The file with its variables' values, which the loader's own command does not look up."""
    return _VARIABLE.sub(lambda found: SECRETS[found[1]] if found[2] == "?" else found[3], text)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every service with all that is filled in, from a folder laid out like ours."""
    folder = tmp_path_factory.mktemp("project") / "deploy"
    folder.mkdir()
    shutil.copy(ROOT / ".env.example", folder.parent / ".env")
    (folder / "compose.yaml").write_text(_filled((DEPLOY / "compose.yaml").read_text()))
    done = load_compose(folder / "compose.yaml")
    assert done.returncode == 0, done.stderr
    assert "WARN" not in done.stderr.upper(), done.stderr
    loaded: dict[str, Any] = json.loads(done.stdout)["services"]
    return loaded


def test_all_parts_are_there(services: dict[str, Any]) -> None:
    assert services.keys() == OURS | THEIRS


def test_nothing_starts_with_a_password_that_nobody_chose() -> None:
    done = load_compose(DEPLOY / "compose.yaml")

    assert done.returncode != 0
    assert set(re.findall(r"required variable (\w+) is missing", done.stderr)) == SECRETS.keys()


def test_the_example_of_the_environment_has_every_setting() -> None:
    example = (ROOT / ".env.example").read_text()

    assert example == environment_example()
    assert {row.names[0] for row in rows()} <= {line.lstrip("#").partition("=")[0] for line in example.splitlines()}


@pytest.mark.parametrize("name", sorted(OURS))
def test_what_a_part_is_told_is_a_setting_and_can_be_used(services: dict[str, Any], name: str) -> None:
    environment = services[name]["environment"]

    assert environment.keys() <= known_names()
    settings = Settings.from_environment({**environment, "ALCHEMY_API_KEY": "of .env"})
    assert settings.service.env == "production"
    assert settings.database.password is not None
    assert settings.database.password.get_secret_value() == SECRETS["DB_PASSWORD"]
    assert settings.broker.redis_host == "redis"
    assert settings.kafka.brokers == ("kafka:9092",)


@pytest.mark.parametrize("name", sorted(OURS))
def test_a_part_has_the_one_env_file_of_the_project(services: dict[str, Any], name: str) -> None:
    (file,) = services[name]["env_file"]

    assert Path(file["path"]).read_text() == (ROOT / ".env.example").read_text()


@pytest.mark.parametrize("name", sorted(OURS))
def test_a_part_is_nobody_and_can_change_nothing(services: dict[str, Any], name: str) -> None:
    service = services[name]

    assert service["user"] == "1001:1001"
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]  # noqa: S108 - of a container
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["image"] == f"moonx-pipeline:{__version__}"
    assert all(volume["type"] == "bind" and volume["read_only"] for volume in service.get("volumes", []))


def test_every_service_has_bounds(services: dict[str, Any]) -> None:
    for name, service in services.items():
        limits = service["deploy"]["resources"]["limits"]
        assert limits.keys() >= {"cpus", "memory"}, name
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name


def test_only_the_gateway_can_be_reached_from_other_machines(services: dict[str, Any]) -> None:
    published = {
        name: [(port.get("host_ip"), int(port["target"])) for port in service["ports"]]
        for name, service in services.items()
        if "ports" in service
    }

    assert published == {
        "gateway": [(None, 3007)], "webserver": [("127.0.0.1", 3000)], "grafana": [("127.0.0.1", 3000)]
    }  # fmt: skip


def test_a_part_starts_when_what_it_needs_is_ready(services: dict[str, Any]) -> None:
    assert services["migrate"]["depends_on"]["postgresql"]["condition"] == "service_healthy"
    for name in OURS - {"migrate"}:
        waits = _waits_for(services, name)
        assert waits["migrate"] == "service_completed_successfully", name
        assert {waits[other] for other in waits.keys() - {"migrate"}} <= {"service_healthy"}
    for name in {other for service in services.values() for other in service.get("depends_on", {})} - {"migrate"}:
        assert services[name]["healthcheck"]["test"], f"{name} is waited for"


def _waits_for(services: dict[str, Any], name: str) -> dict[str, str]:
    """What a service waits for, directly or by way of others."""
    found: dict[str, str] = {}
    for other, how in services[name].get("depends_on", {}).items():
        found |= {other: how["condition"], **_waits_for(services, other)}
    return found


@pytest.mark.parametrize("name", sorted(OURS - {"migrate"}))
def test_every_part_that_stays_is_looked_after(services: dict[str, Any], name: str) -> None:
    assert services[name]["healthcheck"]["test"][0] == "CMD"
    assert services[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", ["gateway", "worker", "relay", "migrate"])
def test_a_part_of_ours_is_a_command_that_exists(services: dict[str, Any], name: str) -> None:
    program, command = services[name]["command"]

    assert program == "moonx"
    assert command in COMMANDS


def test_a_worker_is_given_longer_to_stop_than_it_takes(services: dict[str, Any]) -> None:
    worker = services["worker"]
    assert worker["stop_grace_period"] == "50s"
    assert int(worker["environment"]["CLUSTER_SHUTDOWN_TIMEOUT"]) / 1000 + 10 < 50


def test_no_secret_is_written_in_the_file() -> None:
    secrets = {name for row in rows() if row.secret for name in row.names}
    for service in yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"].values():
        for name, value in service.get("environment", {}).items():
            assert name not in secrets or not value or value.startswith("${"), name


def test_what_the_file_takes_from_the_environment_is_told() -> None:
    text = (DEPLOY / "compose.yaml").read_text()

    assert {found[1] for found in _VARIABLE.finditer(text)} == SECRETS.keys() | {"WORKER_CONCURRENCY"}
    assert all(name in text.partition("\nname:")[0] for name in SECRETS)
