"""A portfolio's total over time: one reading a bucket, from the kept syncs, and from history before them."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection

from moonx_pipeline.domain.schedule import ORDINARY_SPACING
from moonx_pipeline.storage.connection.statements import sql_beside

_BUCKETS: Final = (
    (1, timedelta(minutes=15)),
    (7, timedelta(hours=1)),
    (30, timedelta(hours=6)),
)
_LONGEST_BUCKET: Final = timedelta(days=1)


class Reading(NamedTuple):
    """A total as one sync stored it.

    Attributes:
        at: When.
        total_value_usd: The sum of what counted.
        omitted: What the sum left out; ``None`` if that was not kept.
    """

    at: datetime
    total_value_usd: Decimal
    omitted: dict[str, Any] | None


class Series(NamedTuple):
    """Readings of a range of days.

    Attributes:
        days: The number of days.
        bucket: The length of a stretch of time, in UTC; each has its last reading, if there is one.
        gap: Two readings further apart than this have a gap between them.
        before: The last reading before the range.
        readings: Oldest first.
    """

    days: int
    bucket: timedelta
    gap: timedelta
    before: Reading | None
    readings: list[Reading]


def bucket_of(days: int) -> timedelta:
    """The bucket length for a range of days: some hundred points, whatever the range."""
    return next((bucket for most, bucket in _BUCKETS if days <= most), _LONGEST_BUCKET)


# An unchanged portfolio has the reading of the bucket before; see the statement.
# A user's stored syncs ended in the order in which they began, so the index of start times finds the last one of a
# bucket. If it is no longer kept, a snapshot may be: then its total is summed up.
_SERIES: Final = sql_beside(__file__, "read_series")


def read_series(connection: Connection, user_id: str, *, days: int, now: datetime) -> Series:
    """A user's totals of the last days, in one query.

    Args:
        connection: Any.
        user_id: The user.
        days: The number of 24-hour days, 1 to 366.
        now: The end of the range.
    """
    bucket = bucket_of(days)
    parameters = {
        "user": user_id,
        "since": now - timedelta(days=days),
        "now": now,
        "bucket": bucket,
        "epoch": datetime.fromisoformat("1970-01-01T00:00:00+00:00"),
    }
    before: Reading | None = None
    readings = []
    for is_before, *reading in connection.exec_driver_sql(_SERIES, parameters):
        if is_before:
            before = Reading(*reading)
        else:
            readings.append(Reading(*reading))
    return Series(days, bucket, max(2 * bucket, ORDINARY_SPACING), before, readings)
