"""On-view refresh: decides in one query what a user's view of their portfolio causes, and records the view."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import Connection


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
_DUE = """
SELECT s.last_viewed_at IS NULL OR s.last_viewed_at <= now() - %(recent)s,
       CASE WHEN s.is_sync_enabled IS FALSE OR s.last_sync_at > now() - %(recent)s THEN NULL
            WHEN EXISTS (SELECT 1 FROM sync_operations o WHERE o.user_id = u.user_id
                         AND o.status IN ('pending', 'running')) THEN NULL
            WHEN EXISTS (SELECT 1 FROM sync_requests r WHERE r.user_id = u.user_id AND r.status = 'pending') THEN NULL
            WHEN EXISTS (SELECT 1 FROM sync_operations o WHERE o.user_id = u.user_id
                         AND o.started_at > now() - %(recent)s) THEN NULL
            WHEN EXISTS (SELECT 1 FROM sync_requests r WHERE r.user_id = u.user_id
                         AND r.created_at > now() - %(recent)s) THEN NULL
            WHEN EXISTS (SELECT 1 FROM circuit_breakers b WHERE b.key = 'user:' || u.user_id
                         AND b.retry_at > now()) THEN NULL
            WHEN s.last_sync_at IS NULL THEN 'high' ELSE 'medium' END
FROM (SELECT user_id FROM user_wallets WHERE user_id = %(user)s LIMIT 1) u
LEFT JOIN user_sync_status s USING (user_id)
"""


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
