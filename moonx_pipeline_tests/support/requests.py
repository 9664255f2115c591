"""What the tests of requests do: ask, claim, lose, mark, look."""

from __future__ import annotations

from uuid import UUID, uuid4

from sqlalchemy import Connection, Engine

from moonx_pipeline.storage.requests.dispatches import (
    Dispatch,
    dispatch_next,
)
from moonx_pipeline.storage.requests.queue import add_request, requeue_requests


def ask(engine: Engine, user_id: str, priority: str = "high", **more) -> UUID:
    with engine.begin() as connection:
        return add_request(connection, user_id, source=more.pop("source", "api"), priority=priority, **more)


def row(engine: Engine, request: UUID):
    with engine.connect() as connection:
        return connection.exec_driver_sql("SELECT * FROM sync_requests WHERE id = %s", (request,)).one()


def claim(engine: Engine, request: UUID) -> UUID:
    """Lets a sync have the request, as its opening does."""
    operation = uuid4()
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE sync_requests SET status = 'claimed', claimed_at = now(), sync_operation_id = %s WHERE id = %s",
            (operation, request),
        )
    return operation


def requeue(engine: Engine, *operations: UUID, tries: int = 3) -> None:
    with engine.begin() as connection:
        requeue_requests(connection, operations, tries)


def mark(engine: Engine, batch: int = 50, capacity: int = 50) -> list[Dispatch]:
    with engine.begin() as connection:
        return dispatch_next(connection, batch=batch, capacity=capacity)


def let_time_pass(connection: Connection) -> None:
    """Until every run that was started should have begun."""
    connection.exec_driver_sql("UPDATE sync_requests SET look_at = look_at - interval '1 hour'")
