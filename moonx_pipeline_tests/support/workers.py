"""What the tests of workers do and look at."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import Engine

from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import PLAIN_WALLET, POLYGON_WALLET
from moonx_pipeline.storage.requests.queue import add_request
from moonx_pipeline.sync import run_tags
from moonx_pipeline_tests.fixtures.dagster import System, eventually
from moonx_pipeline_tests.support.syncs import register


def new_user(system: System, wallet: str = PLAIN_WALLET) -> str:
    """A registered user whom no other test knows."""
    user_id = f"user-{uuid.uuid4().hex[:8]}"
    register(system.engine, user_id, wallet)
    return user_id


def stuck_user(system: System, simulator: RunningSimulator) -> str:
    """A registered user whose balances no provider tells: a sync of his hangs."""
    simulator.fault("hang", wallet=POLYGON_WALLET)
    return new_user(system, POLYGON_WALLET)


def ask(engine: Engine, user_id: str) -> str:
    """A request of the user; returns its id."""
    with engine.begin() as connection:
        return str(add_request(connection, user_id, source="api", priority="high"))


def rows(engine: Engine, sql: str, *parameters: object) -> list[Any]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(sql, parameters)]


def request_status(engine: Engine, request_id: str) -> str:
    ((status,),) = rows(engine, "SELECT status FROM sync_requests WHERE id = %s::uuid", request_id)
    return str(status)


def launch_asked(system: System, user_id: str, **tags: str) -> tuple[str, str]:
    """A request of the user and the run that is to serve it; returns both ids."""
    request_id = ask(system.engine, user_id)
    return request_id, system.launch(user_id, **{run_tags.REQUEST: request_id, **tags})


def in_the_middle(system: System, run_id: str) -> str:
    """Waits until the run's sync is open; returns the id of the process that carries it."""

    def look() -> str:
        found = rows(
            system.engine, "SELECT worker_id FROM sync_operations WHERE id = %s::uuid AND status = 'running'", run_id
        )
        assert found
        assert system.status(run_id) == "STARTED"
        return str(found[0][0])

    return eventually(look)


def pid_of(worker_id: str) -> int:
    return int(worker_id.split(":")[1])
