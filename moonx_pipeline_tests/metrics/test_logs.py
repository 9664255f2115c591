"""Log lines: JSON of one form from whoever writes them, and never a secret."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from sqlalchemy import make_url

from moonx_pipeline.simulator.server import RunningSimulator, free_port
from moonx_pipeline.simulator.world import POLYGON_WALLET
from moonx_pipeline_tests.fixtures.dagster import System, eventually, running_system
from moonx_pipeline_tests.fixtures.gateway import SECRET, WEBHOOK_KEY, gateway_environment, token_of
from moonx_pipeline_tests.support.forked import start_module
from moonx_pipeline_tests.support.workers import new_user

SECRETS = {
    "ALCHEMY_API_KEY": "sekrit-alchemy",
    "ALCHEMY_API_KEY_BASE": "sekrit-base",
    "COINGECKO_API_KEY": "sekrit-coingecko",
    "RPC_URL_ETHEREUM": "http://user:sekrit-node-password@127.0.0.1:9/v3/sekrit-node-key",
    "RPC_URL_POLYGON": "http://127.0.0.1:9/sekrit-polygon-key",
    "KAFKA_BROKERS": "127.0.0.1:9",
    "KAFKA_SASL_USERNAME": "relay",
    "KAFKA_SASL_PASSWORD": "sekrit-kafka",
    "JWT_SECRET": f"sekrit-{SECRET}",
    "ALCHEMY_WEBHOOK_SIGNING_KEY": f"sekrit-{WEBHOOK_KEY}",
}
"""Each holds the word that is looked for."""

FAULTS = (
    (("alchemy", "bad_key"),),
    (("alchemy", "quota"),),
    (("alchemy", "malformed"), ("coingecko", "bad_key")),
    (("coingecko", "bad_key"), ("binance", "outage"), ("dexscreener", "reset")),
)
"""Of the providers that a sync asks; the last has balances, so that prices are asked for."""
_LINES = {"LOG_LEVEL": "debug", "LOG_FORMAT": "json", "KAFKA_CONNECTION_TIMEOUT": "300", "KAFKA_REQUEST_TIMEOUT": "300"}


@pytest.fixture(scope="module")
def system(
    postgres_server: str, simulator_server: RunningSimulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[System]:
    with running_system(
        postgres_server, simulator_server, tmp_path_factory.mktemp("logs"), **SECRETS, **_LINES
    ) as running:
        url = make_url(running.environment["DATABASE_URL"]).set(password="sekrit-database")
        running.environment["DATABASE_URL"] = url.render_as_string(hide_password=False)
        yield running


def with_faults(system: System, simulator: RunningSimulator, carry, ways=FAULTS) -> None:
    """Syncs, each beside providers that refuse or break in ways of their own."""
    for faults in ways:
        simulator.simulation.reset()
        for provider, kind in faults:
            simulator.fault(kind, provider)
        with system.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM circuit_breakers")
            connection.exec_driver_sql("DELETE FROM token_evidence")
        carry(new_user(system, POLYGON_WALLET))


def lines(text: str) -> list[dict]:
    """All lines, each of which has to be JSON."""
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def test_a_worker_logs_what_runs_and_libraries_say_in_one_form_without_secrets(
    system: System, simulator: RunningSimulator
) -> None:
    worker = system.start_worker(1).until_ready()
    users: dict[str, str] = {}

    def carry(user: str) -> None:
        users[user] = system.launch(user)
        assert system.ended(users[user])

    with_faults(system, simulator, carry)
    worker.stop()

    written = lines(worker.log)
    assert all({"event", "level", "timestamp", "logger"} <= line.keys() for line in written)
    for user, run in users.items():
        of_run = [line for line in written if line.get("run") == run and line["logger"] == "run"]
        assert of_run, worker.log
        assert all((line["user"], line["operation"], line["job"]) == (user, run, "portfolio_sync") for line in of_run)
    chains = {line["chain"] for line in written if line.get("op", "").startswith("fetch_") and "chain" in line}
    assert {"ethereum", "polygon", "base"} <= chains
    assert "wait in the outbox" in worker.log
    assert "sekrit" not in worker.log


def test_dagster_job_execute_prints_no_secret(system: System, simulator: RunningSimulator) -> None:
    printed = []

    def carry(user: str) -> None:
        tags = json.dumps({"dagster/partition": user})
        command = ["job", "execute", "-m", "moonx_pipeline.definitions", "-j", "portfolio_sync", "--tags", tags]
        process, log = system.start("dagster", *command)
        process.wait(120)
        printed.append(log.read_text())

    with_faults(system, simulator, carry, FAULTS[-2:])

    assert "portfolio_sync" in printed[0]
    assert "sekrit" not in "".join(printed)


def test_a_gateway_and_a_relay_write_no_secret(system: System, tmp_path: Path) -> None:
    port = str(free_port())
    environment = gateway_environment(
        system.environment["DATABASE_URL"], tmp_path, **SECRETS, **_LINES, GATEWAY_PORT=port
    )
    relay, relay_log = system.start("moonx_pipeline", "relay")
    log = tmp_path / "gateway.log"
    with log.open("wb") as output:
        gateway = start_module("moonx_pipeline", "gateway", env=environment, cwd=tmp_path, stdout=output, stderr=output)
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: requests.get(f"{url}/health/live", timeout=5))
        token = token_of("ann", key=SECRETS["JWT_SECRET"])
        for given in (token, f"{token}x", "sekrit-token"):
            headers = {"Authorization": f"Bearer {given}"}
            requests.get(f"{url}/api/v1/portfolio?token=sekrit-query", headers=headers, timeout=15)
            requests.post(
                f"{url}/api/v1/webhooks/alchemy", data="{", headers={"X-Alchemy-Signature": given}, timeout=15
            )
        requests.get(f"{url}/health/ready", timeout=5)
        eventually(lambda: away(relay_log))
    finally:
        for process in (gateway, relay):
            process.terminate()
            process.wait(30)

    written = [*lines(log.read_text()), *(line for line in relay_log.read_text().splitlines() if line.startswith("{"))]
    assert written
    for text in (log.read_text(), relay_log.read_text()):
        assert "sekrit" not in text
        assert token.split(".")[2] not in text


def away(log: Path) -> None:
    text = log.read_text()
    assert "events wait" in text
    assert "takes no events, they wait in the outbox: nothing listens there" in text


def test_a_broker_that_is_away_is_told_of_without_its_password(system: System) -> None:
    worker = system.start_worker(1, CELERY_BROKER_URL="redis://:sekrit-redis@127.0.0.1:9/0")

    def told() -> None:
        assert "127.0.0.1:9" in worker.log

    eventually(told)
    worker.kill_all()

    assert lines(worker.log)
    assert "sekrit" not in worker.log
