"""Retention: which old rows to delete, in chunks that are each a short transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

from sqlalchemy import Connection, Engine

from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.connection.statements import sql_beside
from moonx_pipeline.storage.syncs.outbox import BEGINNING, Cursor
from moonx_pipeline.storage.upkeep.chunks import in_chunks, with_lock_timeout

_SLICE: Final = 5000
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)

CHANGING_TABLES: Final = (
    "user_token_holdings",
    "user_token_holdings_history",
    "sync_operations",
    "outbox_events",
    "outbox_packs",
    "operation_packs",
    "history_packs",
    "sync_requests",
    "user_sync_status",
    "unchanged_syncs",
)
"""Tables that change a lot in a day."""

# Reads in the order of the stream, so that it reads neither rows twice nor rows that vacuum has not removed yet.
_OUTBOX: Final = sql_beside(__file__, "prune_outbox")


def prune_outbox(engine: Engine, before: datetime, *, unpublished: bool) -> Iterator[int]:
    """Deletes old events.

    Args:
        engine: The database.
        before: Events made before then are old; packed ones stay until their day is.
        unpublished: Whether to delete events that no broker has acknowledged, too: only if there is no broker, and
            consumers read the outbox itself.

    Yields:
        Events removed, by the chunk.
    """
    yield from in_chunks(engine, BEGINNING, partial(_prune_outbox, before=before, unpublished=unpublished))
    yield from in_chunks(engine, _LONG_AGO, partial(_prune_packs, before=before))


def _prune_outbox(
    connection: Connection, cursor: Cursor, *, before: datetime, unpublished: bool
) -> tuple[int, Cursor | None]:
    parameters = {**cursor._asdict(), "before": before, "unpublished": unpublished, "most": _SLICE}
    row = connection.exec_driver_sql(_OUTBOX, parameters).one_or_none()
    if row is None:
        return 0, None
    removed, tx, seq, goes_on = row
    return removed, Cursor(tx, seq) if goes_on else None


# Whole days of all keys go at once: from the oldest event on, each sync has all of its events.
_PACKS: Final = """
WITH slice AS MATERIALIZED (
    SELECT id, last_at, cardinality(seqs) AS events FROM outbox_packs
    WHERE last_at > %(after)s AND last_at < date_trunc('day', %(before)s::timestamptz, 'UTC')
    ORDER BY last_at FETCH FIRST 200 ROWS WITH TIES
), gone AS (
    DELETE FROM outbox_packs p USING slice WHERE p.id = slice.id
)
SELECT coalesce(sum(events), 0)::bigint, max(last_at) FROM slice
"""


def _prune_packs(connection: Connection, after: datetime, *, before: datetime) -> tuple[int, datetime | None]:
    removed, last = connection.exec_driver_sql(_PACKS, {"after": after, "before": before}).one()
    return removed, last


_BY_END: Final = """
WITH slice AS MATERIALIZED (
    SELECT id, completed_at FROM {table} WHERE completed_at > %(after)s AND completed_at < %(before)s
    ORDER BY completed_at FETCH FIRST {most} ROWS WITH TIES
), gone AS (
    DELETE FROM {table} x USING slice WHERE x.id = slice.id AND {condition} RETURNING 1
)
SELECT (SELECT count(*) FROM gone), (SELECT max(completed_at) FROM slice)
"""

_REQUESTS: Final = _BY_END.format(
    table="sync_requests", most=_SLICE, condition="x.status IN ('done', 'refused', 'cancelled')"
)

# An operation that a user's status or a request still refers to is kept.
_OPERATIONS: Final = _BY_END.format(
    table="sync_operations",
    most=_SLICE,
    condition="x.status NOT IN ('pending', 'running') "
    "AND NOT EXISTS (SELECT 1 FROM user_sync_status s WHERE s.user_id = x.user_id AND s.last_sync_operation_id = x.id) "
    "AND NOT EXISTS (SELECT 1 FROM sync_requests r WHERE r.sync_operation_id = x.id)",
)


def prune_requests(engine: Engine, before: datetime) -> Iterator[int]:
    """Deletes requests that ended before a time; yields how many, by the chunk."""
    yield from in_chunks(engine, _LONG_AGO, partial(_prune_by_end, statement=_REQUESTS, before=before))


def prune_operations(engine: Engine, before: datetime) -> Iterator[int]:
    """Deletes operations that ended before a time; yields how many, by the chunk.

    The last one of each user stays, and those whose requests still exist; packed ones go by whole days.
    """
    yield from in_chunks(engine, _LONG_AGO, partial(_prune_by_end, statement=_OPERATIONS, before=before))
    while removed := with_lock_timeout(engine, partial(_prune_operation_packs, before=before)):
        yield removed


_OPERATION_PACKS: Final = """
WITH gone AS (
    DELETE FROM operation_packs WHERE id IN (
        SELECT id FROM operation_packs WHERE day < (%s::timestamptz AT TIME ZONE 'UTC')::date ORDER BY day LIMIT 500)
    RETURNING cardinality(ids) AS operations
)
SELECT coalesce(sum(operations), 0)::bigint FROM gone
"""


def _prune_operation_packs(connection: Connection, before: datetime) -> int:
    removed: int = connection.exec_driver_sql(_OPERATION_PACKS, (before,)).scalar_one()
    return removed


_UNCHANGED: Final = _BY_END.format(table="unchanged_syncs", most=_SLICE, condition="true")


def prune_unchanged(engine: Engine, before: datetime) -> Iterator[int]:
    """Deletes batches' records of unchanged syncs that ended before a time; yields how many, by the chunk."""
    yield from in_chunks(engine, _LONG_AGO, partial(_prune_by_end, statement=_UNCHANGED, before=before))


def _prune_by_end(
    connection: Connection, after: datetime, *, statement: str, before: datetime
) -> tuple[int, datetime | None]:
    removed, last = connection.exec_driver_sql(statement, {"after": after, "before": before}).one()
    return removed, last


_CHECKS: Final = """
WITH slice AS MATERIALIZED (
    SELECT id, run_id, create_timestamp FROM asset_check_executions WHERE id > %(after)s ORDER BY id LIMIT %(most)s
), gone AS (
    DELETE FROM asset_check_executions c USING slice s
    WHERE c.id = s.id AND s.create_timestamp < %(before)s
      AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.run_id = s.run_id)
    RETURNING 1
)
SELECT (SELECT count(*) FROM gone),
       CASE WHEN count(*) = %(most)s AND min(create_timestamp) < %(before)s THEN max(id) END FROM slice
"""


def prune_check_executions(engine: Engine, before: datetime) -> Iterator[int]:
    """Deletes Dagster's records of asset checks that deleted runs made before a time.

    Dagster deletes a run with its events, but not with these.

    Args:
        engine: Dagster's database.
        before: The time.

    Yields:
        Records removed, by the chunk.
    """
    yield from in_chunks(engine, 0, partial(_prune_check_executions, before=before))


def _prune_check_executions(connection: Connection, after: int, *, before: datetime) -> tuple[int, int | None]:
    removed, last = connection.exec_driver_sql(_CHECKS, {"after": after, "before": before, "most": _SLICE}).one()
    return removed, last


def analyze(engine: Engine, tables: Sequence[str] = CHANGING_TABLES) -> None:
    """Updates the planner's statistics; autovacuum never does so for a partitioned table as a whole.

    Skips a table that is locked.
    """
    with autocommit(engine) as connection:
        # It reads samples and blocks nobody, but over all months of history it may take a while.
        connection.exec_driver_sql("SET statement_timeout = '5min'")
        try:
            for table in tables:
                connection.exec_driver_sql(f"ANALYZE (SKIP_LOCKED) {table}")
        finally:
            connection.exec_driver_sql("RESET statement_timeout")
