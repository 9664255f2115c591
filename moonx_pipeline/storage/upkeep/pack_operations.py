"""Moves operations of sweeps into packs, some users a transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Engine

from moonx_pipeline.storage.connection.statements import sql_beside
from moonx_pipeline.storage.packs.operation_packs import Details, pack_details
from moonx_pipeline.storage.upkeep.chunks import in_chunks, is_packing_alone

_USERS: Final = 20
_MOST: Final = 640
"""Operations of a user in a transaction: four days of them."""

_ROWS: Final = sql_beside(__file__, "packable_operations")
_INSERT: Final = """
INSERT INTO operation_packs (user_id, day, first_started_at, last_started_at, completed, partial, failed, total_ms,
    tokens, provider_calls, compute_units, ids, statuses, fences, started_at, completed_at, totals, omitted, versions,
    previous_sync_at, details)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s::uuid[], %s::text[], %s::bigint[], %s::timestamptz[],
    %s::timestamptz[], %s::numeric[], %s::text[]::jsonb[], %s::bigint[], %s::timestamptz[], %s)
"""


def pack_operations(engine: Engine, before: datetime) -> Iterator[int]:
    """Packs operations of sweeps; each transaction stores packs and deletes what is in them.

    Args:
        engine: The database.
        before: Only days (UTC) that were over by then.

    Yields:
        Operations packed, by the chunk.
    """
    midnight = before.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    yield from in_chunks(engine, "", partial(_pack, before=midnight))


def _pack(connection: Connection, after: str, *, before: datetime) -> tuple[int, str | None]:
    if not is_packing_alone(connection):
        return 0, None
    users = connection.exec_driver_sql(
        "SELECT user_id FROM user_sync_status WHERE user_id > %s ORDER BY user_id LIMIT %s", (after, _USERS)
    )
    names = list(users.scalars())
    rows = connection.exec_driver_sql(_ROWS, {"users": names, "before": before, "most": _MOST}).all()
    packed, is_more = 0, False
    for _, of_user in groupby(rows, key=lambda row: row.user_id):
        operations = list(of_user)
        is_more = is_more or len(operations) == _MOST
        for _, of_day in groupby(operations, key=lambda row: row.started_at.astimezone(UTC).date()):
            packed += _store(connection, list(of_day))
    if is_more and packed:
        return packed, after
    return packed, names[-1] if len(names) == _USERS else None


def _store(connection: Connection, rows: Sequence[Any]) -> int:
    """Moves operations of a user and day into a pack; returns how many."""
    details = [Details._make([*row[10:-1], msgspec.Raw(row.chains.encode())]) for row in rows]
    stored = [row for row in rows if row.status in ("completed", "partial")]
    ids = [row.id for row in rows]
    connection.exec_driver_sql(
        _INSERT,
        (
            rows[0].user_id,
            rows[0].started_at.astimezone(UTC).date(),
            rows[0].started_at,
            rows[-1].started_at,
            *(sum(row.status == status for row in rows) for status in ("completed", "partial", "failed")),
            sum(row.duration_ms or 0 for row in stored),
            sum(row.tokens_synced for row in rows),
            sum(row.provider_calls for row in rows),
            sum(row.compute_units for row in rows),
            ids,
            *([row[column] for row in rows] for column in range(2, 10)),
            pack_details(details),
        ),
    )
    return connection.exec_driver_sql("DELETE FROM sync_operations WHERE id = ANY(%s::uuid[])", (ids,)).rowcount
