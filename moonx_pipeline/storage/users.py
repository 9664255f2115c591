"""Users and their wallets.

A change of wallets takes a number of its own among the user's syncs, so that a sync which read the old
wallets can no longer be stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import Connection

MAX_WALLETS = 20


class UserRow(NamedTuple):
    """One user as a list shows him."""

    user_id: str
    wallets: tuple[str, ...]
    sync_status: str
    last_sync_at: datetime | None
    total_value_usd: Decimal | None


_TOUCH = """
INSERT INTO user_sync_status AS s (user_id, opened_fence, stored_fence, last_active_at)
VALUES (%(user)s, 1, 1, now())
ON CONFLICT (user_id) DO UPDATE
SET opened_fence = s.opened_fence + 1, stored_fence = s.opened_fence + 1, content_hash = NULL, next_sync_at = now()
"""


def wallets_of(connection: Connection, user_id: str) -> tuple[str, ...]:
    """A user's wallets, the first registered first."""
    rows = connection.exec_driver_sql(
        "SELECT wallet_address FROM user_wallets WHERE user_id = %s ORDER BY position", (user_id,)
    )
    return tuple(rows.scalars())


def add_wallets(connection: Connection, user_id: str, wallets: Sequence[str]) -> tuple[str, ...]:
    """Registers a user with wallets, or adds wallets to him. Returns those that are new.

    Args:
        connection: Inside a transaction.
        user_id: Not empty, at most 255 characters.
        wallets: Checked addresses in lower case.
    """
    connection.exec_driver_sql(_TOUCH, {"user": user_id})
    new = connection.exec_driver_sql(
        "INSERT INTO user_wallets (user_id, wallet_address) SELECT %s, w FROM unnest(%s) WITH ORDINALITY AS x(w, n) "
        "ORDER BY n ON CONFLICT DO NOTHING RETURNING wallet_address",
        (user_id, list(wallets)),
    )
    return tuple(new.scalars())


def remove_user(connection: Connection, user_id: str) -> bool:
    """Forgets a user's wallets, holdings and history. His operations and events stay as a record.

    The row of his status stays, emptied, so that his portfolio's version goes on growing should he return.
    """
    connection.exec_driver_sql(_TOUCH, {"user": user_id})
    connection.exec_driver_sql("DELETE FROM user_token_holdings_history WHERE user_id = %s", (user_id,))
    known = connection.exec_driver_sql("DELETE FROM user_wallets WHERE user_id = %s", (user_id,)).rowcount > 0
    connection.exec_driver_sql(
        "UPDATE sync_requests SET status = 'cancelled', reason = 'The user was removed.', completed_at = now() "
        "WHERE user_id = %s AND status = 'pending'",
        (user_id,),
    )
    connection.exec_driver_sql(
        "UPDATE user_sync_status SET sync_status = 'never', last_sync_at = NULL, total_value_usd = NULL, "
        "last_active_at = NULL, last_error_message = NULL, last_error_at = NULL, snapshot_at = NULL, "
        "consecutive_failures = 0 WHERE user_id = %s",
        (user_id,),
    )
    return known


def list_users(connection: Connection) -> list[UserRow]:
    """All users with wallets, by id."""
    rows = connection.exec_driver_sql(
        "SELECT w.user_id, array_agg(w.wallet_address ORDER BY w.position), coalesce(s.sync_status, 'never'), "
        "s.last_sync_at, s.total_value_usd FROM user_wallets w LEFT JOIN user_sync_status s USING (user_id) "
        "GROUP BY w.user_id, s.sync_status, s.last_sync_at, s.total_value_usd ORDER BY w.user_id"
    )
    return [UserRow(user, tuple(wallets), status, last, total) for user, wallets, status, last, total in rows]
