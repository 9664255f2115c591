"""The outbox: events stored as rows in the transactions they tell about.

Events of one key are inserted under that user's lock, so their ``seq`` follows the order of commits. Across keys it
does not: a later ``seq`` may be visible before an earlier one is committed. So nothing reads "everything after
a number", but what is still unpublished, or what one snapshot of the database shows and another did not; see
``storage/syncs/event_reads.py``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from moonx_pipeline.domain.events import Event
from moonx_pipeline.storage.connection.recordset import recordset
from moonx_pipeline.tracing import current_traceparent

SHARDS = 16
CHANNEL = "moonx_outbox"
_SHARD_LOCKS = 0x6F757462  # class of the advisory locks of the shards' publishers

_encode_payload = msgspec.json.Encoder(decimal_format="number").encode


class OutboxRow(NamedTuple):
    """A stored event.

    ``payload`` is the JSON text sent over the wire, ``traceparent`` the trace it was written in, if one was
    recorded.
    """

    seq: int
    tx: int
    id: UUID
    topic: str
    key: str
    type: str
    version: int
    payload: str
    created_at: datetime
    traceparent: str | None = None


OUTBOX_COLUMNS: Final = (
    "seq, tx::text::bigint, id, topic, key, type, version, payload::text, created_at, headers->>'traceparent'"
)


def insert_events(connection: Connection, events: Sequence[Event]) -> None:
    """Puts events into the outbox, in their order; an event that is there already stays as it is.

    Args:
        connection: Inside the transaction that the events tell about, holding the locks of their users.
        events: Of any keys.
    """
    if not events:
        return
    rows = [
        {
            "id": event.id,
            "topic": event.topic,
            "key": event.key,
            "type": event.type,
            "version": event.version,
            "payload": msgspec.Raw(_encode_payload(event.payload)),
        }
        for event in events
    ]
    connection.exec_driver_sql(
        "INSERT INTO outbox_events (id, topic, key, type, version, payload, headers) "
        "SELECT x.id, x.topic, x.key, x.type, x.version, x.payload, "
        "jsonb_strip_nulls(jsonb_build_object('traceparent', %s::text)) FROM ROWS FROM (json_to_recordset(%s::json) AS "
        "(id uuid, topic text, key text, type text, version bigint, payload jsonb)) WITH ORDINALITY "
        "AS x(id, topic, key, type, version, payload, n) ORDER BY n ON CONFLICT (id) DO NOTHING",
        (current_traceparent(), recordset(rows)),
    )


def shards_of(connection: Connection, keys: Collection[str]) -> set[int]:
    """The shards of keys, as the database computes them."""
    rows = connection.exec_driver_sql(
        "SELECT (hashtextextended(k, 0) & 15)::int FROM unnest(%s::text[]) AS k", (list(keys),)
    )
    return set(rows.scalars())


def lock_shards(connection: Connection, shards: Collection[int]) -> set[int]:
    """Becomes the publisher of the shards that have none; the locks last as long as the connection.

    Args:
        connection: In autocommit mode, kept as long as it publishes.
        shards: The shards to try.
    """
    rows = connection.exec_driver_sql(
        "SELECT x.shard FROM unnest(%s::int[]) AS x(shard) WHERE pg_try_advisory_lock(%s, x.shard)",
        (sorted(shards), _SHARD_LOCKS),
    )
    return set(rows.scalars())


def unlock_shards(connection: Connection, shards: Collection[int]) -> None:
    """Gives up the locks of shards."""
    connection.exec_driver_sql(
        "SELECT pg_advisory_unlock(%s, x.shard) FROM unnest(%s::int[]) AS x(shard)", (_SHARD_LOCKS, sorted(shards))
    )


def unpublished(connection: Connection, shards: Collection[int], limit: int) -> list[OutboxRow]:
    """Events of the shards that no broker has acknowledged yet, oldest first."""
    rows = connection.exec_driver_sql(
        f"SELECT {OUTBOX_COLUMNS} FROM outbox_events WHERE published_at IS NULL "  # noqa: S608
        "AND shard = ANY(%s::smallint[]) ORDER BY seq LIMIT %s",
        (sorted(shards), limit),
    )
    return [OutboxRow(*row) for row in rows]


def mark_published(connection: Connection, ids: Sequence[UUID]) -> None:
    """Marks events that the broker has acknowledged."""
    connection.exec_driver_sql("UPDATE outbox_events SET published_at = now() WHERE id = ANY(%s::uuid[])", (list(ids),))


def set_aside(connection: Connection, event_id: UUID, error: str) -> None:
    """Marks an event that the broker will never take, so that later ones can go on."""
    connection.exec_driver_sql(
        "UPDATE outbox_events SET published_at = now(), error = %s WHERE id = %s", (error, event_id)
    )


class Cursor(NamedTuple):
    """A place in the order of the table's index, for a walk through the whole table."""

    tx: int
    seq: int


BEGINNING = Cursor(0, 0)


def lag(connection: Connection) -> tuple[int, float]:
    """How many events are unpublished, and how many seconds the oldest of them has waited."""
    count, seconds = connection.exec_driver_sql(
        "SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 "
        "FROM outbox_events WHERE published_at IS NULL"
    ).one()
    return count, seconds
