"""Whoever was away is told what he missed."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from moonx_pipeline.domain.chains import NATIVE_TOKEN
from moonx_pipeline.gateway.live.catch_up import current_portfolio
from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.tokens import TOKENS
from moonx_pipeline.simulator.world import PLAIN_WALLET
from moonx_pipeline.storage.portfolios.users import set_wallets
from moonx_pipeline.sync.runtime import open_runtime
from moonx_pipeline_tests.fixtures.gateway import GatewayProcess, gateway_environment, token_of
from moonx_pipeline_tests.fixtures.kafka import KafkaTopics
from moonx_pipeline_tests.gateway.live.clients import client, connected
from moonx_pipeline_tests.support.live_events import started, tell, updated
from moonx_pipeline_tests.support.syncs import events, sync


class World:
    """A user whose portfolio changes with each sync."""

    def __init__(self, engine: Engine, settings: Settings, simulator: RunningSimulator) -> None:
        self._engine = engine
        self._runtime = open_runtime(settings, engine)
        self._world = simulator.simulation.world
        self._balance = 10**18

    def change(self, user_id: str) -> dict[str, Any]:
        """Syncs a changed balance; gives the event that told it."""
        self._balance += 10**15
        self._world.set_balance(PLAIN_WALLET, TOKENS[1, NATIVE_TOKEN], self._balance)
        sync(self._runtime, user_id)
        return next(e for e in reversed(events(self._engine, user_id)) if e["eventType"] == "portfolio.updated")


@pytest.fixture
def world(gateway: GatewayProcess, settings: Settings, simulator: RunningSimulator) -> World:
    return World(gateway.engine, settings, simulator)


def until_told(client_of_user: Any, gateway: GatewayProcess, user_id: str) -> list[tuple[str, Any]]:
    """What a client received by now: an event that is known to be the last comes next."""
    tell(gateway.engine, end := started(user_id, 0))
    return [(line["name"], line["data"]) for line in client_of_user.until("sync_started", eventId=str(end.id))[:-1]]


def test_a_client_that_is_behind_is_told_the_current_portfolio_as_the_event_told_it(
    gateway: GatewayProcess, world: World
) -> None:
    ann = gateway.register("ann", PLAIN_WALLET)
    world.change(ann)
    last = world.change(ann)

    with connected(gateway, ann) as silent, connected(gateway, ann, last_version=2) as current:
        with connected(gateway, ann, last_version=1) as behind:
            update = behind.next()
        assert until_told(current, gateway, ann) == until_told(silent, gateway, ann)[:-1] == []

    assert update == {
        "name": "portfolio_update",
        "data": {**last["data"], "version": 2, "eventId": last["eventId"]},
    }


def test_a_version_that_is_no_version_counts_as_behind(gateway: GatewayProcess, world: World) -> None:
    bob = gateway.register("bob", PLAIN_WALLET)
    world.change(bob)

    for nonsense in ("x", 1.5, True, [], -7):
        with client(gateway, {"token": token_of(bob), "lastVersion": nonsense}) as behind:
            assert behind.next("portfolio_update")["data"]["version"] == 1


def test_a_wallet_that_went_is_told_though_no_event_told_it(gateway: GatewayProcess, world: World) -> None:
    cyd = gateway.register("cyd", PLAIN_WALLET)
    world.change(cyd)
    with gateway.engine.begin() as connection:
        set_wallets(connection, cyd, [])

    with connected(gateway, cyd, last_version=1) as behind:
        data = behind.next()["data"]
    assert (data["tokens"], data["totalValueUsd"]) == ([], 0)


def test_a_killed_gateway_costs_its_clients_nothing(gateway: GatewayProcess, world: World) -> None:
    dan = gateway.register("dan", PLAIN_WALLET)
    with connected(gateway, dan) as client_of_dan:
        world.change(dan)
        assert client_of_dan.next("portfolio_update")["data"]["version"] == 1
        gateway.kill()
        assert client_of_dan.next("disconnect")["reason"] == "transport close"
        world.change(dan)
        last = world.change(dan)
        gateway.restart()

        caught_up = client_of_dan.next("portfolio_update")["data"]
        assert (caught_up["version"], caught_up["totalValueUsd"]) == (3, last["data"]["totalValueUsd"])
        world.change(dan)
        assert client_of_dan.next("portfolio_update")["data"]["version"] == 4


def test_a_gateway_that_stops_lets_its_clients_come_back(gateway: GatewayProcess) -> None:
    with connected(gateway, "eve") as eve:
        gateway.stop()
        assert eve.next("disconnect")["reason"] == "transport close"
        gateway.restart()
        assert eve.next("connect")
        tell(gateway.engine, started("eve", 1))
        assert eve.next()["name"] == "sync_started"


def test_versions_only_go_forward_while_a_client_comes_and_goes(gateway: GatewayProcess) -> None:
    gus = gateway.register("gus", PLAIN_WALLET)
    versions, over = itertools.count(1), threading.Event()

    def change() -> None:
        while not over.is_set():
            _store(gateway, gus, next(versions))

    writer = threading.Thread(target=change)
    lines = []
    with connected(gateway, gus, last_version=0) as client_of_gus:
        writer.start()
        for _ in range(15):
            client_of_gus.break_connection()
            lines += client_of_gus.until("connect")
        over.set()
        writer.join()
        lines += client_of_gus.until("portfolio_update", version=next(versions) - 1)

    told = [line["data"]["version"] for line in lines if line["name"] == "portfolio_update"]
    assert told == sorted(set(told))


def test_a_gateway_makes_up_for_events_that_it_could_not_read_while_starting(
    engine: Engine, database_url: str, kafka_topics: KafkaTopics, tmp_path: Path
) -> None:
    kafka_topics.broker.stop()
    gateway = GatewayProcess(gateway_environment(database_url, tmp_path, **kafka_topics.environment), engine, tmp_path)
    try:
        hal = gateway.register("hal", PLAIN_WALLET)
        _store(gateway, hal, 1)
        with connected(gateway, hal, last_version=1) as client_of_hal:
            assert gateway.ask("GET", "/health/ready").status_code == 503
            _store(gateway, hal, 2)  # and Kafka never has it
            kafka_topics.broker.start()
            assert client_of_hal.next("portfolio_update")["data"]["version"] == 2
            gateway.until_ready()
    finally:
        gateway.stop()


def _store(gateway: GatewayProcess, user_id: str, version: int) -> None:
    """Makes it the version that is stored; its event comes a moment later, as it does by Kafka."""
    with gateway.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE user_sync_status SET portfolio_version = %s WHERE user_id = %s", (version, user_id)
        )
    tell(gateway.engine, updated(user_id, version))


def test_what_is_known_already_is_not_read(engine: Engine) -> None:
    assert current_portfolio(engine, "nobody", 0) is None
    unknown = current_portfolio(engine, "nobody", None)
    assert unknown is not None
    assert (unknown.version, unknown.data["tokens"], unknown.data["eventId"]) == (0, [], None)
