"""What an operator sees and does when something is shut off or broken."""

import json
import re
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import Engine

from moonx_pipeline.domain.chains import DEFAULT_CHAINS
from moonx_pipeline.domain.events import rfc3339
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import PLAIN_WALLET, POLYGON_WALLET
from moonx_pipeline.storage.syncs.webhooks import note_delivery
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline_tests.fixtures.redis import RedisServer
from moonx_pipeline_tests.support.commands import ROOT, moonx
from moonx_pipeline_tests.support.syncs import alerts, register, sync


@pytest.fixture
def run(database_url: str, tmp_path: Path):
    def command(*arguments: str):
        return moonx(*arguments, cwd=tmp_path, DATABASE_URL=database_url, DAGSTER_HOME=str(ROOT), WEBSERVER_PORT="1")

    return command


@pytest.fixture
def polygon_is_open(engine: Engine, runtime: Runtime, simulator: RunningSimulator) -> None:
    register(engine, "ann", POLYGON_WALLET)
    simulator.fault("partial_error", network="polygon-mainnet")
    simulator.fault("outage", network="polygon-mainnet", endpoint="eth_getBalance")
    simulator.fault("banned", provider="binance")
    for _ in range(5):
        sync(runtime)
    simulator.simulation.faults.clear()


@pytest.mark.usefixtures("polygon_is_open")
def test_status_says_what_is_shut_off_since_when_until_when_and_why(run) -> None:
    shown = run("status")
    state = json.loads(run("status", "--json").stdout)

    assert shown.returncode == 0, shown.stderr
    for said in (
        "answers in",
        "127.0.0.1:1 can't be reached",
        "alchemy:137",
        "failures in a row",
        "banned this machine",
    ):
        assert said in shown.stdout
    (breaker,) = [breaker for breaker in state["breakers"] if breaker["state"] == "open"]
    assert (breaker["key"], breaker["cause"], breaker["failureCount"]) == ("alchemy:137", "failures", 5)
    assert breaker["since"] < breaker["retryAt"]
    assert "503" in breaker["lastError"]
    (block,) = state["blocks"]
    assert block["key"] == "binance"
    assert "418" in block["reason"]
    assert state["parts"]["database"]["ok"]
    assert not state["parts"]["webserver"]["ok"]
    assert state["users"]["registered"] == 1
    assert [worker["alive"] for worker in state["workers"]] == [True]


def test_status_says_which_webhooks_are_alive(database_url: str, engine: Engine, tmp_path: Path) -> None:
    keys = {f"ALCHEMY_WEBHOOK_SIGNING_KEY_{name}": f"whsec_{name}" for name in ("ETHEREUM", "POLYGON", "BASE")}
    now, old = datetime.now(UTC), datetime.now(UTC) - timedelta(hours=3)
    with engine.begin() as connection:
        for chain_id, at in ((1, now), (10, now), (8453, old)):  # Optimism's key was taken away
            note_delivery(connection, chain_id, made_at=at, now=at, quiet_limit=timedelta(minutes=10))
    run = partial(moonx, cwd=tmp_path, DATABASE_URL=database_url, DAGSTER_HOME=str(ROOT), WEBSERVER_PORT="1", **keys)

    assert (
        "Ethereum alive; Polygon silent, so it is read (no delivery yet); "
        f"Base silent, so it is read (no delivery since {rfc3339(old)})"
    ) in " ".join(run("status").stdout.split())
    webhooks = {webhook["chainId"]: webhook for webhook in json.loads(run("status", "--json").stdout)["webhooks"]}
    assert {chain_id: webhook["alive"] for chain_id, webhook in webhooks.items()} == {1: True, 137: False, 8453: False}
    assert (webhooks[137]["lastDeliveryAt"], webhooks[8453]["lastDeliveryAt"]) == (None, rfc3339(old))


@pytest.mark.usefixtures("polygon_is_open")
def test_a_breaker_is_closed_by_hand_and_the_chain_is_asked_again(run, engine: Engine, runtime: Runtime) -> None:
    wrong = run("breaker", "reset", "alchemy:13")
    closed = run("breaker", "reset", "alchemy:137")
    again = run("breaker", "reset", "alchemy:137")

    assert (wrong.returncode, wrong.stderr) == (
        1,
        "moonx: There is no breaker 'alchemy:13'. Did you mean 'alchemy:137'?\n",
    )
    assert (closed.returncode, again.returncode) == (0, 0)
    assert closed.stdout == "The breaker 'alchemy:137' is closed: it is asked again from now on.\n"
    assert again.stdout == "The breaker 'alchemy:137' is closed already.\n"
    assert sync(runtime).status == "completed"
    assert [alert["alertType"] for alert in alerts(engine)] == ["circuit_breaker_open", "circuit_breaker_closed"]


def test_the_doctor_finds_nothing_wrong_or_names_it(run, engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime)
    well = run("doctor")
    assert (well.returncode, well.stdout) == (0, "All is well: 16 invariants hold for 1 users and 1 syncs.\n")

    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE user_sync_status SET total_value_usd = 1")
    ill = run("doctor")
    found = json.loads(run("doctor", "--json").stdout)

    assert ill.returncode == 1
    assert "totals: broken. A user's total is the sum" in ill.stdout
    assert "  ann: 1 is stored, " in ill.stdout
    assert [violation["name"] for violation in found["violations"]] == ["totals"]
    sync(runtime)
    assert run("doctor").returncode == 0


@pytest.fixture
def key_was_rejected(engine: Engine, runtime: Runtime, simulator: RunningSimulator) -> None:
    register(engine, "ann", PLAIN_WALLET)
    simulator.fault("bad_key", provider="alchemy")
    sync(runtime)
    simulator.simulation.faults.clear()


@pytest.mark.usefixtures("key_was_rejected")
def test_a_rejected_key_is_tried_again_by_the_command_that_the_alert_names(
    run, engine: Engine, runtime: Runtime
) -> None:
    (alert,) = alerts(engine)
    command = re.search(r"'moonx (breaker reset [^']+)'", alert["message"])[1].split()
    assert len(command) > 3

    mistyped = run(*command, "alchemi")
    closed = run(*command)
    again = run("breaker", "reset", "alchemy")

    assert (mistyped.returncode, mistyped.stdout) == (1, "")
    assert "There is no breaker 'alchemi'" in mistyped.stderr
    assert (closed.returncode, closed.stdout.count("is asked again from now on.")) == (0, len(command) - 2)
    assert (again.returncode, again.stdout) == (0, "All breakers of 'alchemy' are closed already.\n")
    assert sync(runtime).status == "completed"
    assert len(alerts(engine)) == 2  # one for all that opened, and one for all that closed


@pytest.mark.parametrize("key", ["coingecko", "rpc", "rpc:1", "alchemy:prices"])
def test_a_breaker_that_never_failed_is_closed_already(run, key: str) -> None:
    """As the runbook resets it after a key was changed, whether something failed meanwhile or not."""
    done = run("breaker", "reset", key)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(f"'{key}' are closed already.\n" if key == "rpc" else f"'{key}' is closed already.\n")


@pytest.mark.usefixtures("key_was_rejected")
def test_a_providers_name_closes_all_of_its_breakers(run, engine: Engine, runtime: Runtime) -> None:
    closed = run("breaker", "reset", "alchemy")

    assert closed.returncode == 0, closed.stderr
    assert {f"alchemy:{chain.id}" for chain in DEFAULT_CHAINS} <= set(re.findall("alchemy:[0-9]+", closed.stdout))
    assert sync(runtime).status == "completed"


def test_status_says_that_the_broker_refuses_the_password(
    database_url: str, own_redis: RedisServer, tmp_path: Path
) -> None:
    with Redis(port=own_redis.port) as redis:
        redis.config_set("requirepass", "right")
    asked = {"DATABASE_URL": database_url, "DAGSTER_HOME": str(ROOT), "REDIS_HOST": "127.0.0.1"}
    run = partial(moonx, "status", "--json", cwd=tmp_path, REDIS_PORT=str(own_redis.port), **asked)

    refused = json.loads(run(REDIS_PASSWORD="wrong").stdout)["parts"]["broker"]
    accepted = json.loads(run(REDIS_PASSWORD="right").stdout)["parts"]["broker"]

    assert not refused["ok"]
    assert "password" in refused["error"]
    assert accepted["ok"]
