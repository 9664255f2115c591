"""What an active user takes in the database: one day of syncs is done and packed, times the days that it is kept."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final

from moonx_pipeline.bench.crowd import Crowd
from moonx_pipeline.bench.figures import Add
from moonx_pipeline.defs.packing import OPERATIONS_PLAIN
from moonx_pipeline.domain.schedule import Intervals, next_due
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.upkeep.history import KEPT_HOURLY, KEPT_WHOLE
from moonx_pipeline.storage.upkeep.pack_events import ENOUGH as EVENTS_A_PACK
from moonx_pipeline.storage.upkeep.pack_events import pack_outbox
from moonx_pipeline.storage.upkeep.pack_history import ENOUGH as SNAPSHOTS_A_PACK
from moonx_pipeline.storage.upkeep.pack_history import pack_history, thin_packs
from moonx_pipeline.storage.upkeep.pack_operations import pack_operations
from moonx_pipeline.sync.sweep import Sweep, SweepSpec

USERS: Final = 12
_DAY: Final = timedelta(days=1)
_EVENTS_A_SYNC: Final = 3
_BATCH: Final = 50
_COPIES: Final = 20


def _times(day: datetime) -> list[datetime]:
    """The syncs of a day by the default schedules."""
    times, at = [], day
    while at < day + _DAY:
        times.append(at)
        at = next_due(at, 0, Intervals())
    return times


# Each sync's rows get the times of its place in the day.
_MOVE: Final = """
WITH syncs AS (
    SELECT id, (%(times)s::timestamptz[])[row_number() OVER (PARTITION BY user_id ORDER BY started_at)] AS at
    FROM sync_operations
), operations AS (
    UPDATE sync_operations o SET started_at = s.at, completed_at = s.at + (o.completed_at - o.started_at)
    FROM syncs s WHERE o.id = s.id
), snapshots AS (
    UPDATE user_token_holdings_history h SET created_at = s.at FROM syncs s WHERE h.sync_operation_id = s.id
)
UPDATE outbox_events e SET created_at = s.at, published_at = s.at
FROM syncs s WHERE e.payload->'data'->>'syncOperationId' = s.id::text
"""


def a_user(add: Add, many: Crowd) -> None:
    """Bytes of a sync in each table, plain and packed, and what follows for a user at default retention."""
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - 3 * _DAY
    times = _times(day)
    many.grow_to(USERS)
    for tick in range(len(times)):
        many.make_due()
        many.age_prices()
        many.simulator.change("world", tick=tick + 1)
        Sweep(many.runtime, SweepSpec(many.settings.periodic.batch_size)).run()
    with many.engine.begin() as connection:
        connection.exec_driver_sql(_MOVE, {"times": times})
        connection.exec_driver_sql("UPDATE user_sync_status SET last_sync_operation_id = NULL")
    syncs = USERS * len(times)
    plain_event = _size(many, "outbox_events") / syncs / _EVENTS_A_SYNC
    plain_operation = _size(many, "sync_operations") / syncs
    plain_snapshot = _size(many, "user_token_holdings_history") / syncs
    # What was known of tokens is kept once for a batch, whatever its users.
    evidence = _size(many, "sync_evidence") / syncs + _size(many, "batch_evidence") / len(times) / _BATCH

    began, now = time.process_time(), datetime.now(UTC)
    sum(pack_outbox(many.engine, now))
    sum(pack_operations(many.engine, now))
    sum(pack_history(many.engine, now))
    add("packing_own_cpu_ms_a_user_and_day", (time.process_time() - began) / USERS * 1000, "ms", "")
    events, operations = _packed(many, "outbox_packs"), _packed(many, "operation_packs")
    whole = _packed(many, "history_packs")
    sum(thin_packs(many.engine, hourly_before=now, daily_before=day))
    hours = _packed(many, "history_packs")
    sum(thin_packs(many.engine, hourly_before=now, daily_before=now))
    last = _packed(many, "history_packs")

    kafka, service = many.settings.kafka, many.settings.service
    # What is packed each hour is an hour old and waits until there is enough; operations wait for the second midnight.
    parts = {
        "events": kafka.retention_days * events + (EVENTS_A_PACK + 24 * _EVENTS_A_SYNC) * plain_event,
        "operations": service.operation_days * operations
        + (2 * OPERATIONS_PLAIN / _DAY) * len(times) * plain_operation,
        "history": (SNAPSHOTS_A_PACK + 24) * plain_snapshot
        + KEPT_WHOLE / _DAY * whole
        + (KEPT_HOURLY - KEPT_WHOLE) / _DAY * hours
        + (service.history_months * 30.4 - KEPT_HOURLY / _DAY) * last,
        "evidence": service.evidence_days * len(times) * evidence,
    }
    add("storage_bytes_a_sync_events_plain", _EVENTS_A_SYNC * plain_event, "bytes", "")
    add("storage_bytes_a_sync_events_packed", events / len(times), "bytes", "<= 300")
    add("storage_bytes_a_sync_operation_plain", plain_operation, "bytes", "")
    add("storage_bytes_a_sync_operation_packed", operations / len(times), "bytes", "<= 120")
    add("storage_bytes_a_sync_history_plain", plain_snapshot, "bytes", "")
    add("storage_bytes_a_sync_history_packed", whole / len(times), "bytes", "<= 300")
    add("storage_bytes_a_day_history_thinned_to_hours", hours, "bytes", "")
    add("storage_bytes_a_day_history_thinned_to_a_day", last, "bytes", "")
    for name, value in parts.items():
        add(f"storage_mb_a_user_{name}", value / 1e6, "MB", "")
    add("storage_mb_a_user", sum(parts.values()) / 1e6, "MB", "<= 10")


def _size(many: Crowd, table: str) -> int:
    """Bytes of a table with its indexes and partitions, without what is free in it."""
    with autocommit(many.engine) as connection:
        connection.exec_driver_sql(f"VACUUM FULL {table}")
        size: int = connection.exec_driver_sql(
            "SELECT sum(pg_total_relation_size(relation))::bigint FROM (SELECT %s::regclass AS relation "
            "UNION SELECT relid FROM pg_partition_tree(%s)) r",
            (table, table),
        ).scalar_one()
    return size


def _packed(many: Crowd, table: str) -> float:
    """Bytes of a user's day in a table of packs; many copies are measured, since the smallest index has two pages."""
    with many.engine.begin() as connection:
        columns, last = connection.exec_driver_sql(
            "SELECT string_agg(quote_ident(attname), ', '), "  # noqa: S608 - a name of ours
            f"(SELECT max(id) FROM {table}) FROM pg_attribute "
            "WHERE attrelid = %s::regclass AND attnum > 0 AND attname <> 'id'",
            (table,),
        ).one()
        connection.exec_driver_sql(
            f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {table}, generate_series(2, %s)",  # noqa: S608
            (_COPIES,),
        )
    size = _size(many, table)
    with many.engine.begin() as connection:
        connection.exec_driver_sql(f"DELETE FROM {table} WHERE id > %s", (last,))  # noqa: S608
    return size / _COPIES / USERS
