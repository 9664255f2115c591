"""On-view refresh: decides in one query what a user's view of their portfolio causes, and records the view."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, NamedTuple

from sqlalchemy import Connection

from moonx_pipeline.storage.connection.statements import sql_beside


class ViewDue(NamedTuple):
    """What a view causes now.

    Attributes:
        noted: Whether to record it as activity.
        priority: Of the sync to ask for: ``high`` if the user was never read, ``medium`` if that is too long ago,
            ``None`` if there is none to ask for.
    """

    noted: bool
    priority: str | None

    @property
    def is_nothing(self) -> bool:
        return not self.noted and self.priority is None


# The user's row alone decides what is fresh. An attempt is a sync that began or a request that was made, regardless of
# its outcome: what fails, or waits, is not asked for again by each view.
_DUE: Final = sql_beside(__file__, "due_on_view")


def view_due(connection: Connection, user_id: str, recent: timedelta) -> ViewDue:
    """What a view of a user's portfolio causes; nothing if they have no wallets.

    Args:
        connection: Any; under the user's lock the answer stays valid.
        user_id: The user.
        recent: What was read, tried or viewed within this time is not repeated.
    """
    row = connection.exec_driver_sql(_DUE, {"user": user_id, "recent": recent}).one_or_none()
    return ViewDue(False, None) if row is None else ViewDue(*row)


def note_viewed(connection: Connection, user_id: str) -> None:
    """Records that a user viewed their portfolio, which is activity. The caller holds the user's lock."""
    connection.exec_driver_sql(
        "UPDATE user_sync_status SET last_viewed_at = now(), last_active_at = now() WHERE user_id = %s", (user_id,)
    )
