"""An overview of the whole system for operators, in a few queries."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from moonx_pipeline.storage.protection.breaker_rows import BreakerRow, breakers
from moonx_pipeline.storage.protection.rate_limits import Block, current_blocks
from moonx_pipeline.storage.requests.pause import Pause, current_pause
from moonx_pipeline.storage.syncs.outbox import lag
from moonx_pipeline.storage.syncs.workers import WorkerRow, list_workers


class Backlog(NamedTuple):
    """What waits.

    Attributes:
        users: Registered users.
        users_due: Users who are due and may be synced.
        due_seconds: How long the longest due user waits.
        requests: Requests that no sync serves yet.
        request_seconds: How long the oldest of them waits.
        events: Events that no broker has acknowledged.
        event_seconds: How long the oldest of them waits.
    """

    users: int
    users_due: int
    due_seconds: float
    requests: int
    request_seconds: float
    events: int
    event_seconds: float


class RunningOperation(NamedTuple):
    """A sync in progress."""

    operation_id: UUID
    user_id: str
    trigger: str
    started_at: datetime
    worker_id: str | None
    run_id: str | None


class Overview(NamedTuple):
    """The system as stored in the database, at one moment."""

    backlog: Backlog
    pause: Pause | None
    running: list[RunningOperation]
    workers: list[WorkerRow]
    breakers: list[BreakerRow]
    blocks: list[Block]


_BACKLOG = """
SELECT (SELECT count(DISTINCT user_id) FROM user_wallets), due.users, due.seconds, requests.waiting, requests.seconds
FROM (SELECT count(*) AS users, coalesce(extract(epoch FROM now() - min(next_sync_at)), 0)::float8 AS seconds
      FROM user_sync_status s WHERE is_sync_enabled AND next_sync_at <= now()
      AND last_active_at > now() - interval '24 hours'
      AND EXISTS (SELECT 1 FROM user_wallets w WHERE w.user_id = s.user_id)) due,
     (SELECT count(*) AS waiting, coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS seconds
      FROM sync_requests WHERE status = 'pending') requests
"""


def read_overview(connection: Connection, *, has_broker: bool) -> Overview:
    """Reads the overview; the caller's transaction decides whether it is of one moment.

    Args:
        connection: Any.
        has_broker: Whether events go to a broker; if not, none counts as waiting.
    """
    users, due, due_seconds, requests, request_seconds = connection.exec_driver_sql(_BACKLOG).one()
    events, event_seconds = lag(connection) if has_broker else (0, 0.0)
    running = connection.exec_driver_sql(
        "SELECT id, user_id, trigger, started_at, worker_id, dagster_run_id FROM active_sync_operations LIMIT 1000"
    )
    return Overview(
        Backlog(users, due, due_seconds, requests, request_seconds, events, event_seconds),
        current_pause(connection),
        [RunningOperation(*row) for row in running],
        list_workers(connection),
        breakers(connection),
        current_blocks(connection),
    )
