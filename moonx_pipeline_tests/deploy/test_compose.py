"""The Compose file: what its own loader makes of it, and what holds for every service."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
import yaml

from moonx_pipeline import __version__
from moonx_pipeline.cli import COMMANDS
from moonx_pipeline.cli.config import environment_example
from moonx_pipeline.settings.load import Settings, known_names, rows, secrets_of
from moonx_pipeline.settings.parts import PARTS
from moonx_pipeline.simulator.server import free_port
from moonx_pipeline_tests.deploy.tools import COMPOSE_VARIABLE, DEPLOY, ROOT, compose_services, load_compose
from moonx_pipeline_tests.fixtures.dagster import eventually
from moonx_pipeline_tests.fixtures.missing import unavailable
from moonx_pipeline_tests.support.go_tools import BUILD_SECONDS

pytestmark = pytest.mark.timeout(BUILD_SECONDS)

OURS = {"gateway", "worker", "relay", "migrate", "code-server", "webserver", "daemon"}
THEIRS = {"postgresql", "redis", "kafka", "prometheus", "grafana"}
SECRETS = {
    "DB_PASSWORD": "pa ss:w/rd@1", "DB_WORKER_PASSWORD": "w", "DB_GATEWAY_PASSWORD": "g", "DB_RELAY_PASSWORD": "r",
    "REDIS_PASSWORD": "r3d/is", "GRAFANA_PASSWORD": "gr4fana",
}  # fmt: skip
ROLES = {"gateway": "GATEWAY_", "relay": "RELAY_", "migrate": ""}


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every service with all that is filled in, for an operator who sets what has to be set."""
    return compose_services(tmp_path_factory.mktemp("deploy"), SECRETS)


def test_all_parts_are_there(services: dict[str, Any]) -> None:
    assert services.keys() == OURS | THEIRS
    assert set(PARTS) == OURS


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
    assert settings.database.password.get_secret_value() == SECRETS[f"DB_{ROLES.get(name, 'WORKER_')}PASSWORD"]
    assert settings.database.user == {"migrate": "moonx"}.get(name, f"moonx_{name if name in ROLES else 'worker'}")
    assert settings.broker.redis_host == "redis"
    assert settings.kafka.brokers == ("kafka:9092",)


def test_a_part_is_given_every_plain_setting_and_the_secrets_that_it_reads(tmp_path: Path) -> None:
    """Whatever else ``.env`` has: each variable's value is its own name here."""
    plain = {name for row in rows() if not row.secret for name in row.names}
    secrets = {name for row in rows() if row.secret for name in row.names}
    operators = {name: f"value of {name}" for name in plain | secrets | SECRETS.keys()}

    services = compose_services(tmp_path, operators)
    fixed = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["x-part"]["environment"].keys()

    for part in PARTS:
        given = {value.removeprefix("value of ") for value in _values(services[part]) if value.startswith("value of ")}
        own_role = {"migrate": "DB_PASSWORD"}.get(part, f"DB_{ROLES.get(part, 'WORKER_')}PASSWORD")
        assert given & secrets == set(secrets_of(part)) - fixed | {own_role}, part
        assert given - secrets == plain - fixed, part
        assert "env_file" not in services[part]
    for other in THEIRS:
        values = _values(services[other])
        assert {value for value in values if "value of " in value} <= {f"value of {name}" for name in SECRETS}, other


def _values(service: dict[str, Any]) -> list[str]:
    return list(service.get("environment", {}).values())


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
    assert services
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


@pytest.mark.parametrize("name", sorted(OURS))
def test_metrics_are_served_on_a_port_of_their_own_that_is_not_published(services: dict[str, Any], name: str) -> None:
    environment = services[name]["environment"]
    metrics = {environment[port] for port in ("GATEWAY_METRICS_PORT", "METRICS_PORT", "RELAY_METRICS_PORT")}
    published = {str(port["target"]) for port in services[name].get("ports", [])}

    assert environment["GATEWAY_PORT"] not in metrics
    assert not metrics & published
    assert "network_mode" not in services[name]


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
    program, command, *_ = services[name]["command"]

    assert program == "moonx"
    assert command in COMMANDS


def test_a_worker_is_given_longer_to_stop_than_it_takes(services: dict[str, Any]) -> None:
    worker = services["worker"]
    assert worker["stop_grace_period"] == "50s"
    assert int(worker["environment"]["CLUSTER_SHUTDOWN_TIMEOUT"]) / 1000 + 10 < 50


def test_no_secret_is_written_in_the_file() -> None:
    secrets = {name for row in rows() if row.secret for name in row.names}
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]

    assert services.keys() == OURS | THEIRS
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            assert name not in secrets or not value or value.startswith("${"), name


def test_every_service_can_do_no_more_than_it_needs(services: dict[str, Any]) -> None:
    assert services
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"] is True, name
        assert ("cap_add" in service) == (name == "postgresql"), name


@pytest.mark.parametrize("password", ["plain", "a b\"c\\d$e`f'#"])
def test_redis_is_told_its_password_and_its_command_line_is_not(password: str, tmp_path: Path) -> None:
    if shutil.which("redis-server") is None:
        unavailable("Redis is not on this machine.")
    shell, flag, script = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["redis"]["command"]
    port = free_port()
    here = script.replace("$$", "$").replace("redis-server -", f"redis-server - --port {port} --dir {tmp_path}")
    with subprocess.Popen(
        [shell, flag, here], env={"PATH": os.environ["PATH"], "REDISCLI_AUTH": password}, stdout=subprocess.DEVNULL
    ) as process:
        try:
            eventually(lambda: redis.Redis(port=port, password=password, socket_timeout=5).ping(), seconds=20)
            with pytest.raises(redis.AuthenticationError):
                redis.Redis(port=port, password="other", socket_timeout=5).ping()
            assert password not in " ".join(psutil.Process(process.pid).cmdline())
            assert psutil.Process(process.pid).name() == "redis-server", "the shell would not pass signals on"
        finally:
            process.terminate()


def test_what_the_file_takes_from_the_environment_is_told() -> None:
    text = (DEPLOY / "compose.yaml").read_text()

    assert {found[1] for found in COMPOSE_VARIABLE.finditer(text)} == SECRETS.keys() | {"WORKER_CONCURRENCY"}
    assert all(name in text.partition("\nname:")[0] for name in SECRETS)
