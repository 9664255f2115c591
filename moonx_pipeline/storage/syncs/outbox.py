"""The outbox: events stored as rows in the transactions they tell about.

Events of one key are inserted under that user's lock, so their ``seq`` follows the order of commits. Across keys it
does not: a later ``seq`` may be visible before an earlier one is committed. So nothing here reads "everything after
a number", but what is still unpublished, or what one snapshot of the database shows and another did not.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
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


_COLUMNS = "seq, tx::text::bigint, id, topic, key, type, version, payload::text, created_at, headers->>'traceparent'"


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
        f"SELECT {_COLUMNS} FROM outbox_events WHERE published_at IS NULL AND shard = ANY(%s::smallint[]) "  # noqa: S608
        "ORDER BY seq LIMIT %s",
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


class Position(NamedTuple):
    """How far a reader has come, in PostgreSQL's own terms: everything committed by then, whatever its ``seq``.

    It outlives connections and server restarts.

    Attributes:
        seen: The snapshot (``pg_snapshot`` as text) whose events were all read.
        target: The snapshot being read now, in pages; ``None`` between two of them.
        after: The last ``seq`` read of it.
    """

    seen: str
    target: str | None = None
    after: int = 0

    @property
    def next_tx(self) -> int:
        """The first transaction that had not begun then."""
        return int((self.target or self.seen).split(":")[1])


OLDEST = Position("1:1:")
"""Before every transaction."""


def newest(connection: Connection) -> Position:
    """The position after which only events not yet committed will appear."""
    return Position(connection.exec_driver_sql("SELECT pg_current_snapshot()::text").scalar_one())


# A transaction that the snapshot "seen" does not show was running then, or began later: both are index scans, so a look
# costs what is new, however long something else in the server has been running. Only a page's JSON is converted to
# text.
_AFTER = f"""
SELECT {_COLUMNS} FROM (
    SELECT * FROM outbox_events
    WHERE (tx >= pg_snapshot_xmax(%(seen)s::pg_snapshot)
           OR tx = ANY (ARRAY(SELECT pg_snapshot_xip(%(seen)s::pg_snapshot))))
      AND pg_visible_in_snapshot(tx, %(target)s::pg_snapshot) AND seq > %(after)s
    ORDER BY seq LIMIT %(limit)s
) page ORDER BY seq
"""  # noqa: S608 - a constant


def read_after(connection: Connection, position: Position, limit: int) -> tuple[list[OutboxRow], Position]:
    """Events committed after a position, each once, however late its transaction commits.

    One user's events come in the order of their commits: by ``seq`` within one look, and those of a
    later look after those of an earlier one.

    Args:
        connection: In autocommit mode, so that it sees what is committed meanwhile.
        position: The reader's position.
        limit: Rows at most; fewer rows are all that there are.

    Returns:
        The events, and the reader's new position.
    """
    target = position.target or newest(connection).seen
    if target == position.seen:
        return [], position  # nothing has begun or ended since
    parameters = {"seen": position.seen, "target": target, "after": position.after, "limit": limit}
    rows = [OutboxRow(*row) for row in connection.exec_driver_sql(_AFTER, parameters)]
    if len(rows) < limit:
        return rows, Position(target)
    return rows, Position(position.seen, target, rows[-1].seq)


def read_since(connection: Connection, since: datetime, user_id: str | None, after: int, limit: int) -> list[OutboxRow]:
    """Kept events from a time on and after a ``seq``, oldest first."""
    rows = connection.exec_driver_sql(
        f"SELECT {_COLUMNS} FROM outbox_events WHERE created_at >= %s AND seq > %s "  # noqa: S608 - a constant
        "AND (%s::text IS NULL OR key = %s) ORDER BY seq LIMIT %s",
        (since, after, user_id, user_id, limit),
    )
    return [OutboxRow(*row) for row in rows]


def lag(connection: Connection) -> tuple[int, float]:
    """How many events are unpublished, and how many seconds the oldest of them has waited."""
    count, seconds = connection.exec_driver_sql(
        "SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 "
        "FROM outbox_events WHERE published_at IS NULL"
    ).one()
    return count, seconds
