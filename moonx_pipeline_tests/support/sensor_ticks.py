"""The sensor of requests with an instance of its own, and what its tests do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID, uuid4

import dagster as dg
from sqlalchemy import Engine

from moonx_pipeline.definitions import defs
from moonx_pipeline.defs.resources import Database, PipelineSettings
from moonx_pipeline.defs.sensors import sync_requests
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.requests.queue import add_request
from moonx_pipeline_tests.support.rows import register


@dataclass
class Ticks:
    """The sensor with an instance of its own."""

    engine: Engine
    instance: dg.DagsterInstance

    def evaluate(self):
        settings = PipelineSettings()
        resources = {"settings": settings, "database": Database(settings=settings)}
        with dg.build_sensor_context(
            instance=self.instance, repository_def=defs.get_repository_def(), resources=resources
        ) as context:
            return sync_requests.evaluate_tick(context)

    def requested(self) -> list[dg.RunRequest]:
        return list(self.evaluate().run_requests or ())

    def start(self, run_request: dg.RunRequest, status: dg.DagsterRunStatus) -> str:
        """Makes the run of a request as the daemon does, and leaves it in a status."""
        run = dg.DagsterRun(
            job_name="portfolio_sync",
            run_id=str(uuid4()),
            status=status,
            tags={**run_request.tags, "dagster/run_key": run_request.run_key},
        )
        self.instance.add_run(run)
        return run.run_id


def ask(engine: Engine, user_id: str, priority: str = "high", source: str = "api") -> UUID:
    register(engine, user_id)
    with engine.begin() as connection:
        return add_request(connection, user_id, source=source, priority=priority)


def row(engine: Engine, request: UUID):
    with engine.connect() as connection:
        return connection.exec_driver_sql("SELECT * FROM sync_requests WHERE id = %s", (request,)).one()


def let_time_pass(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE sync_requests SET look_at = look_at - interval '1 hour'")


@contextmanager
def living_workers(engine: Engine, count: int) -> Iterator[None]:
    """Processes that carry syncs, as others see them."""
    with autocommit(engine) as connection:
        for number in range(count):
            connection.exec_driver_sql(
                "INSERT INTO worker_processes (id, host, pid, takes_runs) VALUES (%s, 'elsewhere', 1, true)",
                (f"w{number}",),
            )
            connection.exec_driver_sql("SELECT pg_advisory_lock(worker_lock(%s))", (f"w{number}",))
        yield
        connection.exec_driver_sql("SELECT pg_advisory_unlock_all()")
