"""Sweeps of users who are due."""

from datetime import datetime

from sqlalchemy import Engine
from sqlalchemy.exc import NoResultFound
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from moonx_pipeline.clock import utc_now
from moonx_pipeline.simulator.tokens import derived_address
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline.sync.sweep import Sweep, SweepReport, SweepSpec
from moonx_pipeline_tests.support.syncs import (
    operation,
)


def sweep(runtime: Runtime, *, at: datetime | None = None, **order) -> SweepReport:
    made = SweepSpec(**{"batch_size": 50, **order})
    return Sweep(runtime, made, clock=(lambda: at) if at else utc_now).run()


def execute(engine: Engine, sql: str, *parameters: object) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(sql, parameters)


def make_due(engine: Engine, at: datetime | None = None) -> None:
    execute(engine, "UPDATE user_sync_status SET next_sync_at = %s", at or utc_now())


def wallet(number: int) -> str:
    return derived_address(f"swept: {number}")


def wait_for_running(engine: Engine, user_id: str) -> None:
    retry = retry_if_exception_type((AssertionError, NoResultFound))
    for attempt in Retrying(retry=retry, stop=stop_after_delay(20), wait=wait_fixed(0.01), reraise=True):
        with attempt:
            assert operation(engine, user_id).status == "running"
