"""Users and their wallets.

A change of wallets takes a fencing token of its own, so that a sync that read the old wallets can no longer be
stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from sqlalchemy import Connection

from moonx_pipeline.domain.flags import BLOCKING_FLAGS
from moonx_pipeline.storage.connection.statements import sql_beside
from moonx_pipeline.storage.syncs.evidence_log import forget_evidence

MAX_WALLETS = 20


class UserRow(NamedTuple):
    """One user as a list shows them."""

    user_id: str
    wallets: tuple[str, ...]
    sync_status: str
    last_sync_at: datetime | None
    total_value_usd: Decimal | None


class WalletsSet(NamedTuple):
    """What a new list of wallets changed.

    Attributes:
        added: New wallets, in the order given.
        removed: Wallets that the user no longer has, first registered first.
        version: The portfolio's new version if the removed wallets were part of it.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    version: int | None


class WalletsChanged(Exception):
    """A user's wallets are not the ones that this change was based on."""


# New wallets came, so not all balances of the user have been read any more.
_TOUCH = """
INSERT INTO user_sync_status AS s (user_id, opened_fence, stored_fence, last_active_at)
VALUES (%(user)s, 1, 1, now())
ON CONFLICT (user_id) DO UPDATE
SET opened_fence = s.opened_fence + 1, stored_fence = s.opened_fence + 1, content_hash = NULL, next_sync_at = now(),
    balances_read_at = NULL
"""


def wallets_of(connection: Connection, user_id: str) -> tuple[str, ...]:
    """A user's wallets, first registered first."""
    rows = connection.exec_driver_sql(
        "SELECT wallet_address FROM user_wallets WHERE user_id = %s ORDER BY position", (user_id,)
    )
    return tuple(rows.scalars())


class AddedWallet(NamedTuple):
    """A wallet, and when its user registered it."""

    wallet: str
    added_at: datetime


def wallets_added(connection: Connection, user_id: str, since: datetime) -> list[AddedWallet]:
    """The wallets that a user has registered since a time and still has, oldest first."""
    rows = connection.exec_driver_sql(
        "SELECT wallet_address, created_at FROM user_wallets WHERE user_id = %s AND created_at >= %s "
        "ORDER BY created_at, position",
        (user_id, since),
    )
    return [AddedWallet(*row) for row in rows]


def add_wallets(connection: Connection, user_id: str, wallets: Sequence[str]) -> tuple[str, ...]:
    """Registers a user with wallets, or adds wallets to a user. Returns the new ones.

    Args:
        connection: Inside a transaction.
        user_id: Not empty, at most 255 characters.
        wallets: Checked addresses in lower case.
    """
    connection.exec_driver_sql(_TOUCH, {"user": user_id})
    return _insert_wallets(connection, user_id, wallets)


def _insert_wallets(connection: Connection, user_id: str, wallets: Sequence[str]) -> tuple[str, ...]:
    """Adds wallets in their order; returns the new ones."""
    new = connection.exec_driver_sql(
        "INSERT INTO user_wallets (user_id, wallet_address) SELECT %s, w FROM unnest(%s::text[]) "
        "WITH ORDINALITY AS x(w, n) ORDER BY n ON CONFLICT DO NOTHING RETURNING wallet_address",
        (user_id, list(wallets)),
    )
    return tuple(new.scalars())


def _cancel_waiting(connection: Connection, user_id: str, reason: str) -> None:
    connection.exec_driver_sql(
        "UPDATE sync_requests SET status = 'cancelled', reason = %s, completed_at = now() "
        "WHERE user_id = %s AND status = 'pending'",
        (reason, user_id),
    )


_KNOWN = """
SELECT EXISTS (SELECT 1 FROM user_chain_status WHERE user_id = %(user)s AND wallet_address = ANY(%(wallets)s))
    OR EXISTS (SELECT 1 FROM user_token_holdings WHERE user_id = %(user)s AND wallet_address = ANY(%(wallets)s))
"""

# If no wallet is left that was ever read, all is as before the first sync.
_REDUCE: Final = sql_beside(__file__, "reduce_wallets")


def set_wallets(
    connection: Connection,
    user_id: str,
    wallets: Sequence[str],
    *,
    is_base: Callable[[Sequence[str]], bool] = lambda _: True,
) -> WalletsSet:
    """Replaces a user's wallets. A removed wallet takes its holdings and history with it.

    New wallets get the order of the list, kept ones keep their place. A list that equals the present one changes
    nothing. A user without wallets keeps their status, so that their portfolio's version goes on growing.

    Args:
        connection: Inside a transaction, which holds the user's lock until it ends.
        user_id: The user; an unknown one is registered.
        wallets: Checked addresses in lower case, ``MAX_WALLETS`` at most.
        is_base: Whether the list about to be replaced is the one that this change was based on.

    Raises:
        WalletsChanged: It is not; roll the transaction back.
    """
    connection.exec_driver_sql("SELECT 1 FROM user_sync_status WHERE user_id = %s FOR UPDATE", (user_id,))
    if set(wallets_of(connection, user_id)) == set(wallets):
        return WalletsSet((), (), None)
    connection.exec_driver_sql(_TOUCH, {"user": user_id})
    # Read again: for an unknown user, the statement above took the lock.
    replaced = wallets_of(connection, user_id)
    if not is_base(replaced):
        raise WalletsChanged
    removed = tuple(wallet for wallet in replaced if wallet not in set(wallets))
    version = _remove_wallets(connection, user_id, removed) if removed else None
    added = _insert_wallets(connection, user_id, wallets)
    if not wallets:
        _cancel_waiting(connection, user_id, "The user has no wallets any more.")
    return WalletsSet(added, removed, version)


def _remove_wallets(connection: Connection, user_id: str, wallets: Sequence[str]) -> int | None:
    """Removes wallets; returns the portfolio's new version if they were part of it."""
    parameters = {"user": user_id, "wallets": list(wallets)}
    known: bool = connection.exec_driver_sql(_KNOWN, parameters).scalar_one()
    for table in ("user_token_holdings_history", "user_wallets"):
        connection.exec_driver_sql(
            f"DELETE FROM {table} WHERE user_id = %(user)s AND wallet_address = ANY(%(wallets)s)",  # noqa: S608
            parameters,
        )
    forget_evidence(connection, user_id)
    version: int = connection.exec_driver_sql(
        _REDUCE, {"user": user_id, "known": known, "blocking": sorted(BLOCKING_FLAGS)}
    ).scalar_one()
    return version if known else None


def remove_user(connection: Connection, user_id: str) -> bool:
    """Removes a user's wallets, holdings and history. Their operations and events stay as a record.

    The status row stays, emptied, so that the portfolio's version goes on growing if the user returns.
    """
    connection.exec_driver_sql(_TOUCH, {"user": user_id})
    connection.exec_driver_sql("DELETE FROM user_token_holdings_history WHERE user_id = %s", (user_id,))
    forget_evidence(connection, user_id)
    known = connection.exec_driver_sql("DELETE FROM user_wallets WHERE user_id = %s", (user_id,)).rowcount > 0
    _cancel_waiting(connection, user_id, "The user was removed.")
    connection.exec_driver_sql(
        "UPDATE user_sync_status SET sync_status = 'never', last_sync_at = NULL, total_value_usd = NULL, "
        "last_active_at = NULL, last_error_message = NULL, last_error_at = NULL, snapshot_at = NULL, "
        "consecutive_failures = 0, portfolio_version = portfolio_version + %s WHERE user_id = %s",
        (int(known), user_id),
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
