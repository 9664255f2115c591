"""Statistics of syncs by day."""

from __future__ import annotations

from datetime import date
from typing import Final, NamedTuple

from sqlalchemy import Connection

from moonx_pipeline.storage.connection.statements import sql_beside


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
_DAYS: Final = sql_beside(__file__, "days_of_syncs")


def days_of_syncs(connection: Connection, days: int) -> list[DayOfSyncs]:
    """The last days, today included, newest first; a day without a sync is left out."""
    return [DayOfSyncs(*row) for row in connection.exec_driver_sql(_DAYS, {"days": days})]
