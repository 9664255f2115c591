"""Statistics of syncs by day."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from sqlalchemy import Connection


class DayOfSyncs(NamedTuple):
    """The syncs that ended on one day (UTC)."""

    day: date
    total: int
    completed: int
    partial: int
    failed: int
    users: int
    average_ms: int | None
    provider_calls: int
    compute_units: int


# Counts like the view sync_statistics_daily, but by the time of the end, which has an index.
_DAYS = """
SELECT (completed_at AT TIME ZONE 'UTC')::date AS day, count(*), count(*) FILTER (WHERE status = 'completed'),
       count(*) FILTER (WHERE status = 'partial'), count(*) FILTER (WHERE status = 'failed'), count(DISTINCT user_id),
       round(avg(duration_ms) FILTER (WHERE status IN ('completed', 'partial')))::bigint, sum(provider_calls),
       sum(compute_units)
FROM sync_operations
WHERE completed_at >= date_trunc('day', now(), 'UTC') - make_interval(days => %s - 1)
GROUP BY day ORDER BY day DESC
"""


def days_of_syncs(connection: Connection, days: int) -> list[DayOfSyncs]:
    """The last days, today included, newest first; a day without a sync is left out."""
    return [DayOfSyncs(*row) for row in connection.exec_driver_sql(_DAYS, (days,))]
