"""What a user's look at his portfolio is to cause, decided in one query, and that he looked."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import Connection


class ViewDue(NamedTuple):
    """What a look causes now.

    Attributes:
        noted: Whether it is to be noted as activity.
        priority: Of the sync to ask for: ``high`` where he was never read, ``medium`` where that is too long ago,
            ``None`` where there is none to ask for.
    """

    noted: bool
    priority: str | None

    @property
    def is_nothing(self) -> bool:
        return not self.noted and self.priority is None


# What is fresh is decided by the user's row alone. An attempt is a sync that began or a request that was made,
# whatever became of it: what fails, or waits, is not asked for again by each look.
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
    """What a look at a user's portfolio causes; nothing where he has no wallets.

    Args:
        connection: Any; under the user's lock, what it says stays so.
        user_id: Whose portfolio.
        recent: What was read, tried or looked at no longer ago is not again.
    """
    row = connection.exec_driver_sql(_DUE, {"user": user_id, "recent": recent}).one_or_none()
    return ViewDue(False, None) if row is None else ViewDue(*row)


def note_viewed(connection: Connection, user_id: str) -> None:
    """Notes that a user looked at his portfolio, which is activity. The caller holds his lock."""
    connection.exec_driver_sql(
        "UPDATE user_sync_status SET last_viewed_at = now(), last_active_at = now() WHERE user_id = %s", (user_id,)
    )
