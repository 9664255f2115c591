"""History as it ages: thinned to one snapshot an hour, then to one a day, and dropped by the month.

A snapshot is what one sync stored for one user, and is kept or removed as a whole. The last one of an hour or day
stays. An hour or day is thinned once all of it is old enough; ``history_thinning`` records the progress, so that
thinned history is not read again.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine

from moonx_pipeline.storage.connection.statements import sql_beside
from moonx_pipeline.storage.upkeep.chunks import in_chunks, with_lock_timeout

KEPT_WHOLE: Final = timedelta(days=2)
KEPT_HOURLY: Final = timedelta(days=30)

# A user may have 288 snapshots a day with some dozen rows each, so a statement removes some 100,000 rows, in seconds.
_USERS: Final = 100
_ROWS: Final = 10_000

_TABLE: Final = "user_token_holdings_history"

# Finds the users by leaping from one to the next in the index of the day's month. A new month has no statistics yet, so
# the planner is forced to use that index; otherwise one chunk may read the whole month once for each user.
_THIN: Final = sql_beside(__file__, "thin_history")

_THINNED: Final = """
INSERT INTO history_thinning AS t (resolution, thinned_until) VALUES (%s, %s)
ON CONFLICT (resolution) DO UPDATE SET thinned_until = greatest(t.thinned_until, excluded.thinned_until)
"""


class _Place(NamedTuple):
    """How far thinning has come: a time, and the last finished user of its day."""

    start: datetime
    after: str


def thin_history(engine: Engine, *, hourly_before: datetime, daily_before: datetime, oldest: date) -> Iterator[int]:
    """Keeps the last snapshot of each hour, and in older history the last of each day, for each user.

    Args:
        engine: The database.
        hourly_before: Hours (UTC) that are over by then are thinned.
        daily_before: Days (UTC) that are over by then are thinned to one snapshot; not after ``hourly_before``.
        oldest: Where to begin if nothing was thinned yet.

    Yields:
        Rows removed, by the chunk: some users' snapshots of a day.
    """
    start = datetime.combine(oldest, time(), UTC)
    ends = {
        "day": daily_before.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0),
        "hour": hourly_before.astimezone(UTC).replace(minute=0, second=0, microsecond=0),
    }
    for resolution, end in ends.items():
        # History thinned to days needs no thinning to hours.
        start = max(start, with_lock_timeout(engine, partial(_thinned_until, resolution=resolution)) or start)
        if start < end:
            yield from in_chunks(engine, _Place(start, ""), partial(_thin, resolution=resolution, until=end))
            start = end


def _thinned_until(connection: Connection, resolution: str) -> datetime | None:
    until: datetime | None = connection.exec_driver_sql(
        "SELECT thinned_until FROM history_thinning WHERE resolution = %s", (resolution,)
    ).scalar()
    return until


def _thin(connection: Connection, place: _Place, *, resolution: str, until: datetime) -> tuple[int, _Place | None]:
    day = datetime.combine(place.start.date(), time(), UTC)
    end = min(day + timedelta(days=1), until)
    month = day.replace(day=1)
    users, last, removed = connection.exec_driver_sql(
        _THIN,
        {
            "month": month,
            "next_month": (month + timedelta(days=31)).replace(day=1),
            "after": place.after,
            "users": _USERS,
            "resolution": resolution,
            "start": place.start,
            "end": end,
        },
    ).one()
    if users == _USERS:
        return removed, _Place(place.start, last)
    connection.exec_driver_sql(_THINNED, (resolution, end))
    return removed, _Place(end, "") if end < until else None


def first_kept_month(now: datetime, months: int) -> date:
    """The first day of the oldest month with anything younger than this many months."""
    years, month = divmod(now.year * 12 + now.month - 1 - months, 12)
    return date(years, month + 1, 1)


def drop_history(engine: Engine, before: date) -> list[str]:
    """Drops the months of history before a day, each in a moment; returns the tables' names.

    Args:
        engine: The database.
        before: The first day of the first month to keep.
    """
    names = with_lock_timeout(engine, partial(_months_before, before=before))
    for name in names:
        with_lock_timeout(engine, partial(_drop, name=name))
    return names


def _months_before(connection: Connection, before: date) -> list[str]:
    rows = connection.exec_driver_sql(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
        "WHERE i.inhparent = %s::regclass AND c.relname ~ '_[0-9]{4}_[0-9]{2}$' "
        "AND to_date(right(c.relname, 7), 'YYYY_MM') < %s ORDER BY c.relname",
        (_TABLE, before),
    )
    return list(rows.scalars())


def _drop(connection: Connection, name: str) -> None:
    # With a default partition, PostgreSQL can detach only like this, which locks all of history.
    connection.exec_driver_sql(f"ALTER TABLE {_TABLE} DETACH PARTITION {name}; DROP TABLE {name}")


def delete_stray_history(engine: Engine, before: date) -> Iterator[int]:
    """Deletes old rows outside of any month's partition.

    Args:
        engine: The database.
        before: The first day to keep.

    Yields:
        Rows removed, by the chunk.
    """
    yield from in_chunks(engine, before, _delete_stray)


def _delete_stray(connection: Connection, before: date) -> tuple[int, date | None]:
    removed = connection.exec_driver_sql(
        f"DELETE FROM {_TABLE}_other WHERE ctid = ANY(ARRAY("  # noqa: S608 - a constant
        f"SELECT ctid FROM {_TABLE}_other WHERE created_at < %s LIMIT {_ROWS}))",
        (before,),
    ).rowcount
    return removed, before if removed == _ROWS else None


def ensure_history(engine: Engine, today: date) -> int:
    """Creates the tables of this month and the next ones; returns how many were missing."""
    return with_lock_timeout(
        engine,
        lambda connection: int(
            connection.exec_driver_sql("SELECT ensure_history_partitions(%s::date)", (today,)).scalar_one()
        ),
    )
