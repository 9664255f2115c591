"""Moves history into packs, some users a transaction, and thins the packs as they age."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from functools import partial
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Connection, Engine

from moonx_pipeline.storage.connection.statements import sql_beside
from moonx_pipeline.storage.packs.history_packs import Snapshot, last_of_each, store_history_pack, unpack_history
from moonx_pipeline.storage.upkeep.chunks import in_chunks, is_packing_alone, with_lock_timeout

ENOUGH: Final = 36
"""So many snapshots of a user and day fill a pack; fewer wait for more, until their day is over."""

_USERS: Final = 20
_DAYS: Final = 50

_ROWS: Final = sql_beside(__file__, "packable_history")
_DELETE: Final = """
DELETE FROM user_token_holdings_history h
USING unnest(%s::text[], %s::text[], %s::timestamptz[], %s::uuid[]) AS x(user_id, wallet_address, created_at, operation)
WHERE h.user_id = x.user_id AND h.wallet_address = x.wallet_address AND h.created_at = x.created_at
  AND h.sync_operation_id = x.operation AND h.created_at BETWEEN %s AND %s
"""


def pack_history(engine: Engine, before: datetime) -> Iterator[int]:
    """Packs snapshots; each transaction stores packs and deletes what is in them.

    Args:
        engine: The database.
        before: Only hours (UTC) that were over by then, so that an hour is packed as a whole.

    Yields:
        Rows packed, by the chunk.
    """
    hour = before.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    yield from in_chunks(engine, "", partial(_pack, before=hour))


def _pack(connection: Connection, after: str, *, before: datetime) -> tuple[int, str | None]:
    if not is_packing_alone(connection):
        return 0, None
    users = connection.exec_driver_sql(
        "SELECT DISTINCT user_id FROM user_wallets WHERE user_id > %s ORDER BY user_id LIMIT %s", (after, _USERS)
    )
    names = list(users.scalars())
    # A wallet that is removed meanwhile waits until this transaction ends, then its packs go with it.
    connection.exec_driver_sql("SELECT FROM user_wallets WHERE user_id = ANY(%s) FOR KEY SHARE", (names,))
    rows = connection.exec_driver_sql(_ROWS, {"users": names, "before": before, "enough": ENOUGH}).all()
    for (user_id, wallet), of_wallet in groupby(rows, key=lambda row: (row.user_id, row.wallet_address)):
        snapshots = [Snapshot(row.created_at, row.operation_id, row.total, row.snapshot) for row in of_wallet]
        store_history_pack(connection, user_id, wallet, "whole", snapshots)
    packed = _delete(connection, rows) if rows else 0
    if any(row.is_more for row in rows):
        return packed, after
    return packed, names[-1] if len(names) == _USERS else None


def _delete(connection: Connection, rows: Sequence[Any]) -> int:
    times = [row.created_at for row in rows]
    keys = ([row.user_id for row in rows], [row.wallet_address for row in rows], times)
    deleted = connection.exec_driver_sql(
        _DELETE, (*keys, [row.operation_id for row in rows], min(times), max(times))
    ).rowcount
    if deleted != sum(row.positions for row in rows):
        raise RuntimeError(f"{deleted} rows of history were deleted where others were packed: nothing was changed.")
    return deleted


def thin_packs(engine: Engine, *, hourly_before: datetime, daily_before: datetime) -> Iterator[int]:
    """Keeps in packs the last snapshot of each hour, and in older ones the last of the day.

    A day (UTC) is thinned once all of it is old enough.

    Args:
        engine: The database.
        hourly_before: Days that are over by then are thinned to hours.
        daily_before: Days that are over by then are thinned to one snapshot; not after ``hourly_before``.

    Yields:
        Snapshots of wallets removed, by the chunk.
    """
    for grain, thinner, before in (
        ("whole", "day", daily_before),
        ("hour", "day", daily_before),
        ("whole", "hour", hourly_before),
    ):
        step = partial(_thin, grain=grain, thinner=thinner, before=before.astimezone(UTC).date())
        while (removed := with_lock_timeout(engine, step)) is not None:
            yield removed


_THINNED: Final = """
WITH days AS (
    SELECT DISTINCT user_id, day FROM history_packs WHERE grain = %s AND day < %s ORDER BY day, user_id LIMIT %s
)
SELECT p.id, p.user_id, p.day, p.wallet_address, p.created_at, p.operation_ids::text[] AS operation_ids, p.totals,
       p.snapshots
FROM history_packs p JOIN days USING (user_id, day)
ORDER BY p.user_id, p.day, p.wallet_address, p.first_at, p.id
FOR UPDATE OF p
"""


def _thin(connection: Connection, *, grain: str, thinner: str, before: date) -> int | None:
    if not is_packing_alone(connection):
        return None
    packs = connection.exec_driver_sql(_THINNED, (grain, before, _DAYS)).all()
    if not packs:
        return None
    connection.exec_driver_sql("DELETE FROM history_packs WHERE id = ANY(%s)", ([pack.id for pack in packs],))
    removed = 0
    for (user_id, _), of_day in groupby(packs, key=lambda pack: (pack.user_id, pack.day)):
        wallets = {
            wallet: [snapshot for pack in of_wallet for snapshot in unpack_history(*pack[4:])]
            for wallet, of_wallet in groupby(of_day, key=lambda pack: pack.wallet_address)
        }
        left = last_of_each(thinner, (snapshot for snapshots in wallets.values() for snapshot in snapshots))
        for wallet, snapshots in wallets.items():
            stay = [snapshot for snapshot in snapshots if (snapshot.at, snapshot.operation_id) in left]
            removed += len(snapshots) - len(stay)
            if stay:
                store_history_pack(connection, user_id, wallet, thinner, stay)
    return removed


def drop_packs(engine: Engine, before: date) -> Iterator[int]:
    """Deletes packed history of days before a day; yields the number of snapshots of wallets, by the chunk."""
    while removed := with_lock_timeout(engine, partial(_drop, before=before)):
        yield removed


_DROPPED: Final = """
WITH gone AS (
    DELETE FROM history_packs WHERE id IN (
        SELECT id FROM history_packs WHERE grain = ANY('{whole,hour,day}') AND day < %s LIMIT 2000)
    RETURNING cardinality(created_at) AS snapshots
)
SELECT coalesce(sum(snapshots), 0)::bigint FROM gone
"""


def _drop(connection: Connection, *, before: date) -> int:
    removed: int = connection.exec_driver_sql(_DROPPED, (before,)).scalar_one()
    return removed
