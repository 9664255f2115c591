"""Moves published events into packs, some keys a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from typing import Final, NamedTuple

import structlog
from sqlalchemy import Connection, Engine

from moonx_pipeline.storage.connection.statements import sql_beside
from moonx_pipeline.storage.packs.event_packs import pack_events
from moonx_pipeline.storage.syncs.outbox import OUTBOX_COLUMNS, OutboxRow
from moonx_pipeline.storage.upkeep.chunks import in_chunks, is_packing_alone

ENOUGH: Final = 180
"""So many events of a key and day fill a pack; fewer wait for more, until their day is over."""

_log = structlog.get_logger("packing")

_KEYS: Final = 20
_EVENTS: Final = 3 * ENOUGH

# Keys are found by leaps from one to the next in the index of published events.
_DUE: Final = sql_beside(__file__, "due_events")

_ROWS: Final = (
    f"SELECT {OUTBOX_COLUMNS}, error FROM unnest(%s::text[]) AS k(wanted) CROSS JOIN LATERAL ("  # noqa: S608 - a constant
    "SELECT * FROM outbox_events WHERE key = k.wanted AND published_at IS NOT NULL ORDER BY seq LIMIT %s) e "
    "WHERE created_at < %s ORDER BY key, seq"
)
_INSERT: Final = (
    "INSERT INTO outbox_packs (key, first_at, last_at, last_tx, seqs, topics, types, versions, operation_ids, errors, "
    "events) VALUES (%s, %s, %s, %s::text::xid8, %s::bigint[], %s::text[], %s::text[], %s::bigint[], %s::uuid[], "
    "%s::text[], %s)"
)


class _Event(NamedTuple):
    row: OutboxRow
    error: str | None


def pack_outbox(engine: Engine, before: datetime) -> Iterator[int]:
    """Packs events that are published; the others stay.

    Each transaction stores packs and deletes what is in them. Of two processes that pack, the later one does nothing.

    Args:
        engine: The database.
        before: Only events made before then, so that what is read often stays as it is.

    Yields:
        Events packed, by the chunk.
    """
    yield from in_chunks(engine, "", partial(_pack, before=before))


def _pack(connection: Connection, after: str, *, before: datetime) -> tuple[int, str | None]:
    if not is_packing_alone(connection):
        return 0, None
    parameters = {"after": after, "before": before, "keys": _KEYS, "enough": ENOUGH}
    keys = connection.exec_driver_sql(_DUE, parameters).all()
    due = [key for key, is_due in keys if is_due]
    found = connection.exec_driver_sql(_ROWS, (due, _EVENTS, before)).all() if due else []
    events = [_Event(OutboxRow(*columns), error) for *columns, error in found]
    packed, is_more = 0, False
    for _, group in groupby(events, key=lambda event: event.row.key):
        of_key = list(group)
        is_more = is_more or len(of_key) == _EVENTS
        packed += sum(_store(connection, together) for together in _of_packs(of_key, before))
    if is_more and packed:
        return packed, after  # of these keys there is more
    return packed, keys[-1].key if len(keys) == _KEYS else None


def _of_packs(events: Iterable[_Event], before: datetime) -> Iterator[list[_Event]]:
    """The events of a key that fill a pack, or whose day is over."""
    today = before.astimezone(UTC).date()
    for day, of_day in groupby(events, key=lambda event: event.row.created_at.astimezone(UTC).date()):
        together = list(of_day)
        if day < today or len(together) >= ENOUGH:
            yield together


def _store(connection: Connection, events: Sequence[_Event]) -> int:
    """Moves events into a pack; returns how many."""
    try:
        pack = pack_events([event.row for event in events], [event.error for event in events])
    except ValueError as problem:  # they stay where they are, and stop no others
        _log.error("events can't be packed", problem=str(problem))
        return 0
    connection.exec_driver_sql(_INSERT, tuple(pack))
    ids = [event.row.id for event in events]
    return connection.exec_driver_sql("DELETE FROM outbox_events WHERE id = ANY(%s::uuid[])", (ids,)).rowcount
