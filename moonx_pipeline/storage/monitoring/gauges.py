"""The database's gauges for the metrics, in a few queries that stay cheap as users grow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection

from moonx_pipeline.clock import utc_now
from moonx_pipeline.storage.connection.statements import sql_beside
from moonx_pipeline.storage.protection.rate_limits import current_blocks
from moonx_pipeline.storage.requests.pause import current_pause
from moonx_pipeline.storage.syncs.outbox import lag
from moonx_pipeline.storage.syncs.workers import list_workers

_EXPORTER_LOCK: Final = 0x6D657472


class BreakerGauge(NamedTuple):
    """A circuit breaker as metrics have it: ``key`` is one provider's, or ``user`` for those of all users.

    Attributes:
        key: Its key.
        state: ``closed``, ``half_open`` or ``open``; of several the worst.
        cause: Why the breaker that has not been closed for the longest time opened; ``None`` if all are closed.
        seconds: For how long it has not been closed.
    """

    key: str
    state: str
    cause: str | None
    seconds: float


class DatabaseGauges(NamedTuple):
    """One reading of the database's gauges.

    Attributes:
        requests, request_seconds: Requests that no sync serves yet, and how long the oldest waits.
        due, due_seconds: Users who are due, and for how long the one due longest.
        ages: Active users by the age of their portfolios, a bucket each; the last also counts users never read.
        age_seconds: The sum of the ages.
        events, event_seconds: Events that no broker has acknowledged, and how long the oldest waits.
        breakers: Circuit breakers that ever counted a failure.
        blocks: Rate limit keys that their providers block, and for how many seconds more.
        processes: Processes that can take a run.
        is_paused: Whether an operator holds all syncs.
        bytes: The database's size.
    """

    requests: int
    request_seconds: float
    due: int
    due_seconds: float
    ages: Sequence[int]
    age_seconds: float
    events: int
    event_seconds: float
    breakers: Sequence[BreakerGauge]
    blocks: Sequence[tuple[str, float]]
    processes: int
    is_paused: bool
    bytes: int


def becomes_exporter(connection: Connection) -> bool:
    """Makes this session the one that reads gauges, until it ends; returns whether it is."""
    is_first: bool = connection.exec_driver_sql("SELECT pg_try_advisory_lock(%s)", (_EXPORTER_LOCK,)).scalar_one()
    return is_first


# One pass over the users, due or not. It compares times, not ages: that is half the work a row.
_USERS: Final = sql_beside(__file__, "count_users")

_REQUESTS: Final = """
SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8
FROM sync_requests WHERE status = 'pending'
"""

_BREAKERS: Final = """
SELECT DISTINCT ON (label) label, CASE max(rank) OVER (PARTITION BY label) WHEN 2 THEN 'open' WHEN 1 THEN 'half_open'
       ELSE 'closed' END, cause, coalesce(extract(epoch FROM now() - opened_at), 0)::float8
FROM (SELECT CASE WHEN key LIKE 'user:%%' THEN 'user' ELSE key END AS label, cause, opened_at,
             array_position(ARRAY['half_open', 'open'], state) AS rank FROM circuit_breakers) b
ORDER BY label, opened_at
"""


def read_gauges(connection: Connection, age_bounds: Sequence[float], *, has_broker: bool) -> DatabaseGauges:
    """Reads all gauges.

    Args:
        connection: Any.
        age_bounds: Upper bounds of the buckets of ages, in seconds, growing.
        has_broker: Whether events go to a broker; if not, none counts as waiting.
    """
    ages, age_seconds, due, due_seconds = [0] * (len(age_bounds) + 1), 0.0, 0, 0.0
    for newer_than, users, seconds, users_due, longest in connection.exec_driver_sql(
        _USERS, {"bounds": [float(bound) for bound in age_bounds]}
    ):
        ages[len(age_bounds) - (newer_than or 0)] += users
        age_seconds += seconds
        due += users_due
        due_seconds = max(due_seconds, longest)
    requests, request_seconds = connection.exec_driver_sql(_REQUESTS).one()
    size = connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one()
    now = utc_now()
    return DatabaseGauges(
        requests,
        request_seconds,
        due,
        due_seconds,
        ages,
        age_seconds,
        *(lag(connection) if has_broker else (0, 0.0)),
        [BreakerGauge(*row) for row in connection.exec_driver_sql(_BREAKERS)],
        [(block.key, max(0.0, (block.blocked_until - now).total_seconds())) for block in current_blocks(connection)],
        sum(worker.takes_runs and worker.alive for worker in list_workers(connection)),
        current_pause(connection) is not None,
        size,
    )
