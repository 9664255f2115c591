"""What gateways tell of themselves, and one of them of the database."""

import math
import socket
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from sqlalchemy import Engine

from moonx_pipeline.clock import utc_now
from moonx_pipeline.metrics.gauges import AGE_BOUNDS, OF_DATABASE
from moonx_pipeline.simulator.server import free_port
from moonx_pipeline.simulator.world import PLAIN_WALLET
from moonx_pipeline.storage.monitoring.gauges import read_gauges
from moonx_pipeline.storage.portfolios.users import add_wallets
from moonx_pipeline.storage.requests.pause import pause
from moonx_pipeline_tests.fixtures.dagster import eventually
from moonx_pipeline_tests.fixtures.gateway import GatewayProcess, gateway_environment, running_gateway, token_of
from moonx_pipeline_tests.gateway.live.clients import connected
from moonx_pipeline_tests.support.forked import run_module
from moonx_pipeline_tests.support.live_events import started, tell
from moonx_pipeline_tests.support.samples import Samples, samples
from moonx_pipeline_tests.support.workers import ask

_SOON = {"MONITORING_METRICS_INTERVAL": "1000"}


@pytest.fixture
def running(database_url: str, tmp_path: Path) -> Iterator[GatewayProcess]:
    with running_gateway(database_url, tmp_path, **_SOON) as gateway:
        yield gateway


def user(engine: Engine, *, age: timedelta | None, active: bool = True, enabled: bool = True) -> str:
    """A user whose portfolio is so old."""
    user_id, now = f"user-{uuid.uuid4().hex[:8]}", utc_now()
    with engine.begin() as connection:
        add_wallets(connection, user_id, [PLAIN_WALLET])
        connection.exec_driver_sql(
            "UPDATE user_sync_status SET last_sync_at = %s, last_active_at = %s, is_sync_enabled = %s, "
            "next_sync_at = %s WHERE user_id = %s",
            (
                None if age is None else now - age,
                now - timedelta(hours=0 if active else 25),
                enabled,
                now + timedelta(hours=1),
                user_id,
            ),
        )
    return user_id


def breaker(engine: Engine, key: str, state: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO circuit_breakers (key, state, opened_at, retry_at, cause) VALUES (%s, %s, "
            "now() - interval '20 minutes', now() + interval '1 minute', 'key_rejected')",
            (key, state),
        )


def test_metrics_and_readiness_move_to_a_port_of_their_own(database_url: str, tmp_path: Path) -> None:
    port = free_port()
    with running_gateway(database_url, tmp_path, GATEWAY_METRICS_PORT=str(port), **_SOON) as gateway:
        for path in ("/metrics", "/health/ready"):
            assert requests.get(f"{gateway.url}{path}", timeout=10).status_code == 404
        assert requests.get(f"{gateway.url}/health/live", timeout=10).status_code == 200

        own = f"http://127.0.0.1:{port}"
        assert requests.get(f"{own}/health/ready", timeout=10).json()["dependencies"]["database"]["ok"]
        assert {"websocket_connections", "dependency_up"} <= samples(own).names
        assert requests.get(f"{own}/api/v1/portfolio", timeout=10).status_code == 404


def test_a_gateway_whose_metrics_have_no_port_says_so_and_ends(database_url: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environment = gateway_environment(database_url, tmp_path, GATEWAY_METRICS_PORT=str(port))
        done = run_module("moonx_pipeline", "gateway", env=environment, cwd=tmp_path)

    assert done.returncode == 1
    assert "GATEWAY_METRICS_PORT" in done.stderr


def exported(gateway: GatewayProcess, *, at_least: int = 0) -> Samples:
    """What a gateway tells, once it has read so many active users."""

    def read() -> Samples:
        found = samples(gateway.url)
        assert found.total("users_active") >= at_least
        assert "users_active" in found.names
        return found

    return eventually(read)


def test_the_database_is_told_of_by_one_gateway_and_by_the_next_when_that_is_killed(
    database_url: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        gateways = [stack.enter_context(running_gateway(database_url, tmp_path, **_SOON)) for _ in range(3)]
        exporter = gateways[0]
        exported(exporter)
        others = [samples(gateway.url) for gateway in gateways[1:]]
        for found in others:
            assert not found.names & set(OF_DATABASE)
            assert found.total("websocket_connections") == 0

        exporter.kill()

        def one_has_taken_over() -> None:
            assert sum("users_active" in samples(gateway.url).names for gateway in gateways[1:]) == 1

        eventually(one_has_taken_over)


def test_what_waits_and_how_old_portfolios_are_is_told(running: GatewayProcess) -> None:
    engine = running.engine
    for minutes in (0.5, 4, 9, 11, 90):
        user(engine, age=timedelta(minutes=minutes))
    user(engine, age=None)
    user(engine, age=timedelta(days=3), active=False)
    user(engine, age=timedelta(days=3), enabled=False)
    due = user(engine, age=timedelta(minutes=7))
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE user_sync_status SET next_sync_at = now() - interval '90 seconds' WHERE user_id = %s", (due,)
        )
    ask(engine, due)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE sync_requests SET created_at = now() - interval '2 minutes'")
        pause(connection, "A test.", "tests")

    found = exported(running, at_least=7)

    assert found.total("sync_requests_pending") == 1
    assert 120 <= found.total("sync_requests_oldest_seconds") < 180
    assert (found.total("users_active"), found.total("users_due"), found.total("sync_paused")) == (7, 1, 1)
    assert 90 <= found.total("users_due_oldest_seconds") < 150
    upto = {
        le: found.total("portfolio_age_seconds_bucket", le=le) for le in ("60.0", "300.0", "600.0", "3600.0", "+Inf")
    }
    assert upto == {"60.0": 1, "300.0": 2, "600.0": 4, "3600.0": 5, "+Inf": 7}
    assert found.total("portfolio_age_seconds_count") == 7
    assert found.total("dagster_daemon_up") == 0
    assert found.total("database_bytes") > 1_000_000


def test_breakers_of_users_are_one_and_those_of_providers_are_always_there(running: GatewayProcess) -> None:
    breaker(running.engine, "alchemy:137", "open")
    breaker(running.engine, "user:ann", "half_open")
    breaker(running.engine, "user:bob", "open")
    with running.engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO circuit_breakers (key) VALUES ('user:cyd'), ('rpc:1')")

    def told() -> None:
        found = samples(running.url)
        states = {
            dict(labels)["key"]: value for (name, labels), value in found.items() if name == "circuit_breaker_state"
        }
        not_closed = {key: state for key, state in states.items() if state}
        assert not_closed == {"alchemy:137": 2, "user": 2}
        assert {"alchemy:1", "binance", "coingecko", "dexscreener", "rpc:1"} <= states.keys()
        for key in not_closed:
            assert 1200 <= found.total("circuit_breaker_open_seconds", key=key, cause="key_rejected") < 1300

    eventually(told)
    assert "ann" not in requests.get(f"{running.url}/metrics", timeout=5).text


def test_sockets_and_the_delivery_of_events_are_told_of(running: GatewayProcess) -> None:
    with connected(running, "ann") as ann:
        tell(running.engine, event := started("ann", 1))
        ann.until("sync_started", eventId=str(event.id))

        def told() -> None:
            found = samples(running.url)
            assert found.total("websocket_connections") == 1
            assert found.total("event_delivery_seconds_count") == 1

        eventually(told)

    def gone() -> None:
        assert samples(running.url).total("websocket_connections") == 0

    eventually(gone)


def test_refusals_of_the_api_are_counted(database_url: str, tmp_path: Path) -> None:
    with running_gateway(database_url, tmp_path, GATEWAY_USER_MAX_REQUESTS="1") as running:
        running.register("ann", PLAIN_WALLET)
        for _ in range(3):
            running.ask("GET", "/api/v1/sync/status", token_of("ann"))

        assert samples(running.url).total("rate_limit_exceeded_total", limit="api_user") == 2


def test_openmetrics_is_spoken_to_whoever_asks_for_it(gateway: GatewayProcess) -> None:
    answer = gateway.ask("GET", "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})

    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_both_can_be_switched_off(database_url: str, tmp_path: Path) -> None:
    with running_gateway(database_url, tmp_path, MONITORING_ENABLE_PROMETHEUS="false") as running:
        assert running.ask("GET", "/metrics").status_code == 404
        running.register("ann", PLAIN_WALLET)
        assert running.ask("GET", "/health/live").status_code == 200


@pytest.mark.parametrize("seed", range(3))
def test_ages_are_sorted_into_buckets_as_they_are_one_by_one(engine: Engine, seed: int) -> None:
    import random

    ages = [random.Random(seed * 100 + number).uniform(0, 100_000) for number in range(60)]  # noqa: S311
    for age in ages:
        user(engine, age=timedelta(seconds=age))

    with engine.connect() as connection:
        found = read_gauges(connection, AGE_BOUNDS, has_broker=False)

    upto = 0
    for bound, count in zip((*AGE_BOUNDS, math.inf), found.ages, strict=True):
        upto += count
        # Some time passes between the two.
        assert sum(age <= bound - 30 for age in ages) <= upto <= sum(age <= bound for age in ages)
    assert sum(ages) <= found.age_seconds <= sum(ages) + 30 * len(ages)
