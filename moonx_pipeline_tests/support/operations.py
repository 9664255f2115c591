"""Ending operations."""

from decimal import Decimal

from sqlalchemy import Engine

from moonx_pipeline.storage.syncs.operations import OperationEnd, end_operations
from moonx_pipeline_tests.support.rows import NOON


def status_of(engine: Engine, user_id: str):
    with engine.connect() as connection:
        return connection.exec_driver_sql("SELECT * FROM user_sync_status WHERE user_id = %s", (user_id,)).one()


def end(engine: Engine, operation, user_id: str = "ann", **changes) -> None:
    values = {
        "operation_id": operation,
        "user_id": user_id,
        "status": "completed",
        "completed_at": NOON,
        "duration_ms": 5,
        "version": 1,
        "chains_synced": 5,
        "total_value_usd": Decimal("1.25"),
        **changes,
    }
    with engine.begin() as connection:
        end_operations(connection, [OperationEnd(**values)], changes.pop("statuses", ()))
