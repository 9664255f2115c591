"""Sync operations: records how syncs end, in sets of any size.

The row of ``user_sync_status`` is the user's lock. Code that writes for a user, opens their sync or puts their event
into the outbox holds it, so that all of this has one order per user.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from moonx_pipeline.storage.connection.recordset import recordset


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
_OF_READING = ", ".join(
    f"{column} = CASE WHEN excluded.status = 'fresh' OR excluded.resume_key IS NOT NULL "
    f"THEN excluded.{column} ELSE c.{column} END"
    for column in ("unread", "block", "resume_key", "resume_since")
)

_END = f"""
WITH ends AS (
    SELECT * FROM json_to_recordset(%(ends)s::json) AS x(
        operation_id uuid, user_id text, status text, completed_at timestamptz, duration_ms integer, version bigint,
        tokens integer, chains_synced integer, total_value_usd numeric, omitted jsonb, error_code text,
        error_message text, stored_fence bigint, content_hash text, snapshot boolean, next_sync_at timestamptz,
        failures integer, chains jsonb, provider_calls integer, compute_units integer, began_at timestamptz,
        is_high_value boolean, balances text, balances_read_at timestamptz)
), statuses AS (
    INSERT INTO user_chain_status AS c (user_id, wallet_address, chain_id, status, last_success_at, last_attempt_at,
                                        error, source, coverage, unread, block, resume_key, resume_since,
                                        error_code, way, full_read_at, known_block)
    SELECT user_id, wallet_address, chain_id, CASE WHEN synced_at IS NULL THEN 'never' ELSE 'fresh' END, synced_at,
           attempted_at, error, source, coverage, unread, block, resume_key, resume_since, error_code, way,
           full_read_at, known_block
    FROM json_to_recordset(%(statuses)s::json) AS x(
        user_id text, wallet_address text, chain_id integer, synced_at timestamptz, attempted_at timestamptz,
        error text, source text, coverage text, unread integer, block bigint, resume_key text,
        resume_since timestamptz, error_code text, way text, full_read_at timestamptz, known_block bigint)
    ON CONFLICT (user_id, wallet_address, chain_id) DO UPDATE
    SET status = CASE WHEN excluded.status = 'fresh' THEN 'fresh' WHEN c.last_success_at IS NULL THEN 'never'
                      ELSE 'stale' END,
        last_success_at = coalesce(excluded.last_success_at, c.last_success_at),
        last_attempt_at = coalesce(excluded.last_attempt_at, c.last_attempt_at),
        error = excluded.error,
        error_code = excluded.error_code,
        source = coalesce(excluded.source, c.source),
        coverage = coalesce(excluded.coverage, c.coverage),
        way = coalesce(excluded.way, c.way),
        full_read_at = coalesce(excluded.full_read_at, c.full_read_at),
        known_block = coalesce(excluded.known_block, c.known_block),
        {_OF_READING}
), dropped AS (
    DELETE FROM user_chain_status c USING ends e
    WHERE c.user_id = e.user_id AND e.stored_fence IS NOT NULL AND c.chain_id <> ALL(%(chains)s::integer[])
), operations AS (
    UPDATE sync_operations o
    SET status = e.status, completed_at = e.completed_at, duration_ms = e.duration_ms, tokens_synced = e.tokens,
        chains_synced = e.chains_synced, total_value_usd = e.total_value_usd, omitted = e.omitted,
        error_code = e.error_code, error_message = e.error_message, portfolio_version = e.version, chains = e.chains,
        provider_calls = e.provider_calls, compute_units = e.compute_units
    FROM ends e WHERE o.id = e.operation_id AND o.completed_at IS NULL
), requests AS (
    UPDATE sync_requests r
    SET status = CASE e.status WHEN 'refused' THEN 'refused' WHEN 'cancelled' THEN 'cancelled' ELSE 'done' END,
        reason = CASE WHEN e.status IN ('refused', 'cancelled') THEN e.error_message END, completed_at = e.completed_at
    FROM ends e WHERE r.sync_operation_id = e.operation_id AND r.status = 'claimed'
)
UPDATE user_sync_status s
SET sync_status = CASE WHEN e.status IN ('completed', 'partial', 'failed') THEN e.status
                       WHEN s.sync_status <> 'running' THEN s.sync_status
                       WHEN s.last_sync_at IS NULL THEN 'never' ELSE 'completed' END,
    last_sync_at = CASE WHEN e.total_value_usd IS NOT NULL THEN e.completed_at ELSE s.last_sync_at END,
    last_sync_operation_id = CASE WHEN e.status IN ('completed', 'partial', 'failed') THEN e.operation_id
                                  ELSE s.last_sync_operation_id END,
    next_sync_at = CASE WHEN s.moved_at > e.began_at THEN e.completed_at
                        ELSE coalesce(e.next_sync_at, s.next_sync_at) END,
    is_high_value = CASE WHEN e.total_value_usd IS NOT NULL THEN e.is_high_value ELSE s.is_high_value END,
    balances_read_at = CASE e.balances WHEN 'whole' THEN e.balances_read_at WHEN 'kept' THEN s.balances_read_at END,
    consecutive_failures = e.failures,
    last_error_message = CASE WHEN e.status = 'completed' THEN NULL
                              WHEN e.status IN ('partial', 'failed') THEN e.error_message
                              ELSE s.last_error_message END,
    last_error_at = CASE WHEN e.status = 'completed' THEN NULL
                         WHEN e.status IN ('partial', 'failed') THEN e.completed_at ELSE s.last_error_at END,
    total_value_usd = coalesce(e.total_value_usd, s.total_value_usd),
    portfolio_version = e.version,
    content_hash = coalesce(decode(e.content_hash, 'base64'), s.content_hash),
    stored_fence = coalesce(e.stored_fence, s.stored_fence),
    snapshot_at = CASE WHEN e.snapshot THEN e.completed_at ELSE s.snapshot_at END
FROM ends e WHERE s.user_id = e.user_id
"""  # noqa: S608 - built from the columns above, nothing from outside


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
