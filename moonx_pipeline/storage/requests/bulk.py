"""Requests for syncs of many users at once, in a few statements regardless of their number."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from moonx_pipeline.storage.requests.queue import MERGE_WAITING, SOURCES


class Selection(StrEnum):
    """Users by the state of their syncs; only users with wallets and enabled syncs."""

    ALL = "all"
    STALE = "stale"  # read too long ago, or never
    FAILED = "failed"  # whose last sync failed


class BulkRow(NamedTuple):
    """The outcome of a bulk request for one user; no request if they can't be synced."""

    user_id: str
    request_id: UUID | None
    is_new: bool
    known: bool
    enabled: bool


_ADD_MANY = f"""
WITH asked AS (
    SELECT u.user_id, s.is_sync_enabled IS NOT FALSE AS enabled,
           EXISTS (SELECT 1 FROM user_wallets w WHERE w.user_id = u.user_id) AS known
    FROM (SELECT DISTINCT user_id FROM unnest(%(users)s::text[]) AS x(user_id)) u
    LEFT JOIN user_sync_status s USING (user_id)
), put AS (
    INSERT INTO sync_requests AS r (user_id, source, priority)
    SELECT user_id, %(source)s, %(priority)s FROM asked WHERE known AND enabled ORDER BY user_id
    {MERGE_WAITING}
    RETURNING user_id, id, xmax = 0 AS is_new
)
SELECT a.user_id, p.id, coalesce(p.is_new, false), a.known, a.enabled
FROM asked a LEFT JOIN put p USING (user_id) ORDER BY a.user_id
"""  # noqa: S608 - constants


def add_requests(connection: Connection, users: Sequence[str], *, source: str, priority: str) -> list[BulkRow]:
    """Requests syncs of many users in one statement; users who can't be synced get no request.

    Args:
        connection: Inside a transaction; until it ends, other requests for these users wait.
        users: Some hundreds: all of their requests are locked until the transaction ends.
        source: Who asks.
        priority: Of all of them.
    """
    parameters = {"users": list(users), "source": source, "priority": priority, "sources": list(SOURCES)}
    return [BulkRow(*row) for row in connection.exec_driver_sql(_ADD_MANY, parameters)]


_SELECT = """
SELECT DISTINCT w.user_id
FROM user_wallets w LEFT JOIN user_sync_status s USING (user_id)
WHERE s.is_sync_enabled IS NOT FALSE AND CASE %(selection)s
    WHEN 'stale' THEN s.last_sync_at IS NULL OR s.last_sync_at < %(stale_before)s
    WHEN 'failed' THEN s.sync_status = 'failed' ELSE true END
ORDER BY w.user_id
"""


def select_users(connection: Connection, selection: Selection, stale_before: datetime) -> list[str]:
    """The users of a selection, by id.

    Args:
        connection: Any.
        selection: The selection.
        stale_before: A portfolio that was read earlier is stale.
    """
    rows = connection.exec_driver_sql(_SELECT, {"selection": selection.value, "stale_before": stale_before})
    return list(rows.scalars())


def unknown_users(connection: Connection, users: Sequence[str]) -> list[str]:
    """Users without wallets, in the order given."""
    rows = connection.exec_driver_sql(
        "SELECT u FROM unnest(%s::text[]) WITH ORDINALITY AS x(u, n) "
        "WHERE NOT EXISTS (SELECT 1 FROM user_wallets w WHERE w.user_id = u) ORDER BY n",
        (list(users),),
    )
    return list(rows.scalars())


def similar_users(connection: Connection, user_id: str, most: int = 1000) -> list[str]:
    """Users whose ids begin or end like the given one and are about as long; the most similar are among them."""
    rows = connection.exec_driver_sql(
        "SELECT DISTINCT user_id FROM user_wallets WHERE abs(length(user_id) - length(%(user)s)) <= 2 "
        "AND (lower(left(user_id, 2)) = lower(left(%(user)s, 2)) "
        "OR lower(right(user_id, 2)) = lower(right(%(user)s, 2))) LIMIT %(most)s",
        {"user": user_id, "most": most},
    )
    return list(rows.scalars())
