"""Sync operations: records how syncs end, in sets of any size.

The row of ``user_sync_status`` is the user's lock. Code that writes for a user, opens their sync or puts their event
into the outbox holds it, so that all of this has one order per user.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from moonx_pipeline.storage.connection.recordset import recordset
from moonx_pipeline.storage.connection.statements import sql_beside


class LockedUser(NamedTuple):
    """A user under their lock, and the operation to be stored."""

    user_id: str
    stored_fence: int
    version: int
    content_hash: bytes | None
    snapshot_at: datetime | None
    failures: int
    operation_status: str | None


# Two statements: one that waited for a lock sees the locked row anew, but sees joined rows as they were before.
_LOCK = """
SELECT 1 FROM user_sync_status WHERE user_id = ANY(%(users)s) ORDER BY user_id FOR UPDATE;
SELECT s.user_id, s.stored_fence, s.portfolio_version, s.content_hash, s.snapshot_at, s.consecutive_failures, o.status
FROM json_to_recordset(%(syncs)s::json) AS x(user_id text, operation_id uuid)
JOIN user_sync_status s USING (user_id)
LEFT JOIN sync_operations o ON o.id = x.operation_id
ORDER BY s.user_id
"""


def lock_users(
    connection: Connection, syncs: Sequence[tuple[str, UUID]], *, seconds: float = 60
) -> dict[str, LockedUser]:
    """Takes the locks of users, ordered by id so that two batches can't wait for each other.

    Args:
        connection: Inside a transaction.
        syncs: Users, and the operations to be stored.
        seconds: The longest that a statement of the transaction may take from here on.
    """
    # One round trip sets the limit and takes the locks.
    rows = connection.exec_driver_sql(
        f"SET LOCAL statement_timeout = {max(1, int(seconds * 1000))}; {_LOCK}",
        {
            "users": [user for user, _ in syncs],
            "syncs": recordset({"user_id": user, "operation_id": operation} for user, operation in syncs),
        },
    )
    return {
        row[0]: LockedUser(
            row[0], row[1], row[2], bytes(row[3]) if row[3] is not None else None, row[4], row[5], row[6]
        )
        for row in rows
    }


class OperationEnd(msgspec.Struct, frozen=True, gc=False):
    """How a sync ended, and its user's new state.

    Attributes:
        operation_id, user_id: The sync and its user.
        status: ``completed``, ``partial``, ``failed``, ``cancelled`` or ``refused``.
        stored_fence: The fencing token under which the user's data is stored from now on; ``None`` leaves it.
        version: The portfolio's version from now on.
        content_hash: Of the stored positions; ``None`` leaves it.
        inputs: The digest of what they follow from; ``None`` if it is not known.
        total_value_usd: Of the portfolio; ``None`` leaves it.
        omitted: What that total leaves out: ``unpriced``, ``spam``, ``flagged`` as counts, ``staleChains`` as ids.
        snapshot: Whether history was written.
        next_sync_at: When the user is due again; ``None`` leaves it.
        failures: Failures in a row from now on.
        chains: How each wallet and chain ended, for the operator.
        began_at: When it began; a movement since then makes the user due at once.
        is_high_value: Whether the portfolio is large.
        balances: ``whole`` if all holdings were read at ``balances_read_at``; ``open`` if something could not be
            read; ``kept`` if some or all of them did not have to be read.
    """

    operation_id: UUID
    user_id: str
    status: str
    completed_at: datetime
    duration_ms: int
    version: int
    tokens: int = 0
    chains_synced: int = 0
    total_value_usd: Decimal | None = None
    omitted: dict[str, Any] | None = None
    error_code: str | None = None
    error_message: str | None = None
    stored_fence: int | None = None
    content_hash: bytes | None = None
    inputs: bytes | None = None
    snapshot: bool = False
    next_sync_at: datetime | None = None
    failures: int = 0
    chains: list[dict[str, Any]] | None = None
    provider_calls: int = 0
    compute_units: int = 0
    began_at: datetime | None = None
    is_high_value: bool = False
    balances: str = "kept"
    balances_read_at: datetime | None = None


class ChainStatusRow(msgspec.Struct, frozen=True, gc=False):
    """One attempt to read a wallet on a chain.

    Attributes:
        synced_at: As of when all of its balances are known; ``None`` if they are not.
        attempted_at: When it was asked; ``None`` if it was not.
        error: Why it was not read in full, or what its source can't know.
        error_code: The same for programs; see ``ChainBalances.error_code``.
        source: Who answered.
        way: How it was read.
        full_read_at: When its tokens were listed; ``None`` if they were not by this attempt.
        known_block: As in ``ChainBalances``.
        coverage: What the source can know.
        unread: The number of unread tokens. If the chain was not read at all, it is ignored, as are ``block``
            and what follows.
        block: The block at which the balances were read, if known.
        resume_key: Where to resume a list that was read in part.
        resume_since: When the reading of that list began.
    """

    user_id: str
    wallet_address: str
    chain_id: int
    synced_at: datetime | None
    attempted_at: datetime | None
    error: str | None
    source: str | None
    coverage: str | None
    unread: int = 0
    block: int | None = None
    resume_key: str | None = None
    resume_since: datetime | None = None
    error_code: str | None = None
    way: str | None = None
    full_read_at: datetime | None = None
    known_block: int | None = None


# A chain that was not read at all keeps the values of its last reading.

_END: Final = sql_beside(__file__, "end_operations")


def end_operations(
    connection: Connection,
    ends: Sequence[OperationEnd],
    statuses: Sequence[ChainStatusRow] = (),
    chain_ids: Sequence[int] | None = None,
) -> None:
    """Writes how syncs ended: operation, request, chain statuses and user, in one statement.

    An operation that has ended stays as it is. The caller holds the users' locks.

    Args:
        connection: Inside a transaction.
        ends: Of syncs of different users.
        statuses: How each wallet and chain was read.
        chain_ids: The chains that are read at all. Stored syncs drop the status of any other with its holdings: the
            operator reads it no more. ``None`` drops nothing.
    """
    connection.exec_driver_sql(
        _END,
        {
            "ends": recordset(ends),
            "statuses": recordset(statuses),
            "chains": None if chain_ids is None else list(chain_ids),
        },
    )
