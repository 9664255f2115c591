"""The global pause: while it lasts no sync starts; running ones go on, and requests wait."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from moonx_pipeline.domain.events import rfc3339


class Pause(NamedTuple):
    """Why no sync starts, since when, and who paused them."""

    reason: str
    paused_at: datetime
    paused_by: str

    @property
    def sentence(self) -> str:
        """The whole pause in one sentence for users."""
        return f"All syncs are paused since {rfc3339(self.paused_at)} by {self.paused_by}: {self.reason.rstrip('.')}."


def pause(connection: Connection, reason: str, by: str) -> Pause:
    """Pauses all syncs. A pause that lasts already keeps its beginning and takes the new reason.

    Args:
        connection: Any.
        reason: Shown to users; not empty.
        by: Who pauses.
    """
    row = connection.exec_driver_sql(
        "INSERT INTO sync_pause (reason, paused_by) VALUES (%s, %s) ON CONFLICT (is_paused) DO UPDATE "
        "SET reason = excluded.reason, paused_by = excluded.paused_by RETURNING reason, paused_at, paused_by",
        (reason, by),
    ).one()
    return Pause(*row)


def resume(connection: Connection) -> Pause | None:
    """Ends the pause and returns it; ``None`` if there was none."""
    row = connection.exec_driver_sql("DELETE FROM sync_pause RETURNING reason, paused_at, paused_by").one_or_none()
    return None if row is None else Pause(*row)


def current_pause(connection: Connection) -> Pause | None:
    """The current pause, if any."""
    row = connection.exec_driver_sql("SELECT reason, paused_at, paused_by FROM sync_pause").one_or_none()
    return None if row is None else Pause(*row)
