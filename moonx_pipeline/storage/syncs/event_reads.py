"""Reads kept events in the order of each key: those that are packed, then those that are not.

Packing moves events while they are read, so a reader looks for new packs after each page of plain events. Finds it
any, it drops the page and reads the packs: what was moved is in them. An event that a page gave before is left out
there, by its ``seq``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection

from moonx_pipeline.storage.packs.event_packs import EventPack, unpack_events
from moonx_pipeline.storage.syncs.outbox import OUTBOX_COLUMNS, OutboxRow

_PACK_COLUMNS: Final = (
    "key, first_at, last_at, last_tx::text::bigint, seqs, topics, types, versions, operation_ids, errors, events"
)
_PACKS_A_LOOK: Final = 4
# Events of a key go to Kafka one after the other, those of many keys at once.
_PACKS_A_REPLAY: Final = 16


class Position(NamedTuple):
    """How far a reader has come, in PostgreSQL's own terms: everything committed by then, whatever its ``seq``.

    It outlives connections and server restarts.

    Attributes:
        seen: The snapshot (``pg_snapshot`` as text) whose events were all read.
        target: The snapshot being read now, in pages; ``None`` between two of them.
        after: The last ``seq`` read of it.
        packs: The last pack that was read, or whose events were all seen.
        target_packs: The last pack when the target was taken.
    """

    seen: str
    target: str | None = None
    after: int = 0
    packs: int = 0
    target_packs: int = 0

    @property
    def next_tx(self) -> int:
        """The first transaction that had not begun then."""
        return int((self.target or self.seen).split(":")[1])


OLDEST = Position("1:1:")
"""Before every transaction."""


def newest(connection: Connection) -> Position:
    """The position after which only events not yet committed will appear."""
    seen, packs = connection.exec_driver_sql(
        "SELECT pg_current_snapshot()::text, coalesce((SELECT max(id) FROM outbox_packs), 0)"
    ).one()
    return Position(seen, packs=packs)


# A transaction that the snapshot "seen" does not show was running then, or began later: both are index scans, so a look
# costs what is new, however long something else in the server has been running. Only a page's JSON is converted to
# text.
_AFTER: Final = f"""
SELECT {OUTBOX_COLUMNS} FROM (
    SELECT * FROM outbox_events
    WHERE (tx >= pg_snapshot_xmax(%(seen)s::pg_snapshot)
           OR tx = ANY (ARRAY(SELECT pg_snapshot_xip(%(seen)s::pg_snapshot))))
      AND pg_visible_in_snapshot(tx, %(target)s::pg_snapshot) AND seq > %(after)s
    ORDER BY seq LIMIT %(limit)s
) page ORDER BY seq
"""  # noqa: S608 - a constant

# Most readers have seen all events of a new pack: by its last transaction they know.
_PACKS_AFTER: Final = (
    f"SELECT id, {_PACK_COLUMNS} FROM outbox_packs WHERE id > %s "  # noqa: S608 - a constant
    "AND last_tx >= pg_snapshot_xmin(%s::pg_snapshot) ORDER BY id LIMIT %s"
)


def read_after(connection: Connection, position: Position, limit: int) -> tuple[list[OutboxRow], Position]:
    """Events committed after a position, each once, however late its transaction commits.

    One user's events come in the order of their commits: by ``seq`` within one look, and those of a
    later look after those of an earlier one.

    Args:
        connection: In autocommit mode, so that it sees what is committed meanwhile.
        position: The reader's position.
        limit: Rows at most, but for those of packs; fewer rows are all that there are.

    Returns:
        The events, and the reader's new position.
    """
    if position.target is None:
        now = newest(connection)
        if now.seen == position.seen:
            return [], position  # nothing has begun or ended since
        position = position._replace(target=now.seen, target_packs=now.packs)
    while True:
        parameters = {**position._asdict(), "limit": limit}
        rows = [OutboxRow(*row) for row in connection.exec_driver_sql(_AFTER, parameters)]
        packs = connection.exec_driver_sql(_PACKS_AFTER, (position.packs, position.seen, _PACKS_A_LOOK)).all()
        if not packs:
            break
        new = [row for pack in packs for row in unpack_events(EventPack(*pack[1:])) if _is_new(row, position)]
        position = position._replace(packs=packs[-1][0])
        if new:
            return new, position
    if len(rows) == limit:
        return rows, position._replace(after=rows[-1].seq)
    assert position.target is not None  # noqa: S101 - set above
    return rows, Position(position.target, packs=max(position.packs, position.target_packs))


def _is_new(row: OutboxRow, position: Position) -> bool:
    """Whether a reader was not given a packed event yet.

    What the target does not show is new, too: a pack is read once.
    """
    if _shows(position.seen, row.tx):
        return False
    return row.seq > position.after or not _shows(position.target, row.tx)


def _shows(snapshot: str | None, tx: int) -> bool:
    """Whether a snapshot (``pg_snapshot`` as text) shows what a transaction wrote that is committed by now."""
    if snapshot is None:
        return False
    _, end, running = snapshot.split(":")
    return tx < int(end) and str(tx) not in running.split(",")


class ReplayCursor(NamedTuple):
    """How far a replay has come: the last pack, and the last ``seq`` among plain events."""

    packs: int = 0
    after: int = 0


_SINCE: Final = (
    f"SELECT {OUTBOX_COLUMNS} FROM outbox_events WHERE created_at >= %s AND seq > %s "  # noqa: S608 - a constant
    "AND (%s::text IS NULL OR key = %s) ORDER BY seq LIMIT %s"
)
_PACKS_SINCE: Final = (
    f"SELECT id, {_PACK_COLUMNS} FROM outbox_packs WHERE last_at >= %s AND id > %s "  # noqa: S608 - a constant
    "AND (%s::text IS NULL OR key = %s) ORDER BY id LIMIT %s"
)


def read_since(
    connection: Connection, since: datetime, user_id: str | None, cursor: ReplayCursor, limit: int
) -> tuple[Sequence[OutboxRow], ReplayCursor | None]:
    """Kept events from a time on, each once, those of a key in their order.

    Args:
        connection: In autocommit mode, so that it sees what is packed meanwhile.
        since: The time.
        user_id: Only events of that key; ``None`` for all.
        cursor: Where the page begins.
        limit: Rows at most, but for those of packs.

    Returns:
        The events, perhaps none, and where the next page begins; ``None`` after the last one.
    """
    of_user = (user_id, user_id)
    rows = [OutboxRow(*row) for row in connection.exec_driver_sql(_SINCE, (since, cursor.after, *of_user, limit))]
    packs = connection.exec_driver_sql(_PACKS_SINCE, (since, cursor.packs, *of_user, _PACKS_A_REPLAY)).all()
    if packs:
        packed = (row for pack in packs for row in unpack_events(EventPack(*pack[1:])))
        new = [row for row in packed if row.created_at >= since and row.seq > cursor.after]
        return new, cursor._replace(packs=packs[-1][0])
    return rows, cursor._replace(after=rows[-1].seq) if rows else None
