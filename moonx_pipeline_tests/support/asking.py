"""Asking for syncs."""

from __future__ import annotations

from sqlalchemy import Engine

from moonx_pipeline.settings import Settings
from moonx_pipeline.sync.requests.ask import SyncRequestResult, ask_for_sync

SETTINGS = Settings.from_environment({"WORKER_RETRY_DELAY": "1"})


def ask(engine: Engine, user_id: str = "ann", **more) -> SyncRequestResult:
    given = {"source": "api", "priority": "medium", "limited": True, **more}
    return ask_for_sync(engine, SETTINGS, user_id, **given)


def rows(engine: Engine, user_id: str = "ann"):
    with engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT id, status, priority, source, served_by, attempts, sync_operation_id FROM sync_requests "
            "WHERE user_id = %s ORDER BY created_at, id",
            (user_id,),
        )
        return found.all()
