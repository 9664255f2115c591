"""Holdings: written only if changed, and read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from moonx_pipeline.domain.flags import BLOCKING_FLAGS
from moonx_pipeline.domain.portfolio import Position
from moonx_pipeline.storage.connection.recordset import recordset
from moonx_pipeline.storage.connection.statements import sql_beside


class HoldingsChange(NamedTuple):
    """The numbers of rows that a write changed."""

    inserted: int
    updated: int
    deleted: int


_WRITE: Final = sql_beside(__file__, "write_holdings")


def write_holdings(connection: Connection, portfolios: Mapping[str, Sequence[Position]]) -> HoldingsChange:
    """Makes the stored holdings of users equal to their positions, touching only rows that differ.

    Args:
        connection: Inside a transaction that holds the users' locks.
        portfolios: All positions of each user, the stale ones included.
    """
    rows = [_row(user_id, position) for user_id in sorted(portfolios) for position in portfolios[user_id]]
    rows.sort(key=lambda r: (r.user_id, r.wallet_address, r.chain_id, r.token_address))
    counts = connection.exec_driver_sql(_WRITE, {"rows": recordset(rows), "users": list(portfolios)}).one()
    return HoldingsChange(*counts)


class _Row(msgspec.Struct, gc=False):
    """A position as written; from the wallet on, its fields are those of ``Position``, in their order."""

    user_id: str
    wallet_address: str
    chain_id: int
    token_address: str
    token_symbol: str | None
    token_name: str | None
    token_decimals: int | None
    balance: str
    balance_formatted: Decimal | None
    price_usd: Decimal | None
    value_usd: Decimal | None
    price_source: str | None
    price_at: datetime | None
    change_24h: Decimal | None
    is_spam: bool
    spam_reasons: tuple[str, ...]
    is_verified: bool
    flags: tuple[str, ...]
    logo_url: str | None


def _row(user_id: str, p: Position) -> _Row:
    # Its columns have the order of a position's fields: naming each again is a tenth of what a write costs.
    return _Row(user_id, *p[:6], str(p.balance), *p[7:18])  # type: ignore[arg-type]  # by their places


_SNAPSHOT = """
INSERT INTO user_token_holdings_history (user_id, wallet_address, chain_id, token_address, token_symbol, balance,
                                         balance_formatted, price_usd, value_usd, in_total, snapshot_type,
                                         sync_operation_id, created_at)
SELECT h.user_id, h.wallet_address, h.chain_id, h.token_address, h.token_symbol, h.balance, h.balance_formatted,
       h.price_usd, h.value_usd, NOT h.flags && %(blocking)s::text[], x.snapshot_type, x.operation_id, %(at)s
FROM json_to_recordset(%(syncs)s::json) AS x(user_id text, operation_id uuid, snapshot_type text)
JOIN user_token_holdings h USING (user_id)
WHERE NOT h.is_spam
"""


def snapshot_holdings(connection: Connection, syncs: Sequence[tuple[str, UUID, str]], at: datetime) -> None:
    """Copies the users' holdings, except spam, into history.

    Args:
        connection: Inside the transaction that wrote them.
        syncs: User, operation and type of snapshot (``auto``, ``manual``, ``scheduled``, ``sync``).
        at: The time of the snapshot.
    """
    rows = [{"user_id": user, "operation_id": operation, "snapshot_type": kind} for user, operation, kind in syncs]
    connection.exec_driver_sql(_SNAPSHOT, {"syncs": recordset(rows), "at": at, "blocking": sorted(BLOCKING_FLAGS)})


class StoredState(NamedTuple):
    """What is stored for some of a user's wallets and chains.

    Attributes:
        fence: The fencing token of the sync that stored it.
        balances: Raw balances by wallet and chain, then by token.
        last_success: When each wallet and chain was last read; those never read are left out.
        unread: Numbers of unread tokens by wallet and chain; those without any are left out.
    """

    fence: int
    balances: dict[tuple[str, int], dict[str, int]]
    last_success: dict[tuple[str, int], datetime]
    unread: dict[tuple[str, int], int]


_STORED = """
SELECT x.user_id, x.wallet_address, x.chain_id, s.stored_fence, c.last_success_at, c.unread, h.token_address,
       h.balance::text
FROM unnest(%s::text[], %s::text[], %s::int[]) AS x(user_id, wallet_address, chain_id)
JOIN user_sync_status s USING (user_id)
LEFT JOIN user_chain_status c USING (user_id, wallet_address, chain_id)
LEFT JOIN user_token_holdings h USING (user_id, wallet_address, chain_id)
"""


def stored_states(connection: Connection, chains: Mapping[str, Sequence[tuple[str, int]]]) -> dict[str, StoredState]:
    """What is stored for wallets and chains, in one consistent read.

    Args:
        connection: Any.
        chains: Wallets and chain ids, by user.

    Returns:
        By user; users without a status are left out.
    """
    wanted = [(user_id, wallet, chain_id) for user_id, pairs in chains.items() for wallet, chain_id in pairs]
    states: dict[str, StoredState] = {}
    if not wanted:
        return states
    rows = connection.exec_driver_sql(_STORED, tuple(list(column) for column in zip(*wanted, strict=True)))
    for user_id, wallet, chain_id, fence, last_success, unread, token, balance in rows:
        state = states.get(user_id) or states.setdefault(user_id, StoredState(fence, {}, {}, {}))
        if unread:
            state.unread[wallet, chain_id] = unread
        if last_success is not None:
            state.last_success[wallet, chain_id] = last_success
        if token is not None:
            state.balances.setdefault((wallet, chain_id), {})[token] = int(balance)
    return states


def held_tokens(connection: Connection, user_id: str, wallet: str, chain_id: int) -> list[str]:
    """The tokens stored for one wallet on one chain."""
    rows = connection.exec_driver_sql(
        "SELECT token_address FROM user_token_holdings WHERE (user_id, wallet_address, chain_id) = (%s, %s, %s)",
        (user_id, wallet, chain_id),
    )
    return list(rows.scalars())


def place_in_list(
    connection: Connection, user_id: str, wallet: str, chain_id: int
) -> tuple[str | None, datetime | None]:
    """Where to resume a partly read token list, and when its reading began; ``None`` twice if it was read in full."""
    row = connection.exec_driver_sql(
        "SELECT resume_key, resume_since FROM user_chain_status "
        "WHERE (user_id, wallet_address, chain_id) = (%s, %s, %s)",
        (user_id, wallet, chain_id),
    ).one_or_none()
    return (row[0], row[1]) if row is not None else (None, None)
