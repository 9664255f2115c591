"""Sync operations: how a sync opens and ends, in sets of any size.

The row of ``user_sync_status`` is the user's lock. Whoever writes for a user, opens a sync of his or puts
an event of his into the outbox holds it, so that all of this has one order per user.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from moonx_pipeline.storage.recordset import recordset


class OpenedRow(NamedTuple):
    """What opening a sync found.

    Attributes:
        fence: The sync's number among the user's.
        version: The user's portfolio version now.
        wallets: First registered first; empty for a user that nobody registered.
        never_read: Whether a wallet of his was never read on any chain.
        existing_status: Status of the operation where this very sync had been opened before.
        enabled: Whether his syncs are enabled.
        tokens_held: Rows of his holdings, spam included.
    """

    fence: int
    version: int
    wallets: tuple[str, ...]
    never_read: bool
    existing_status: str | None
    enabled: bool
    tokens_held: int


_OPEN = """
WITH existing AS (
    SELECT status, fence FROM sync_operations WHERE id = %(operation)s
), wallets AS (
    SELECT array_agg(w.wallet_address ORDER BY w.position) AS addresses,
           bool_or(NOT EXISTS (SELECT 1 FROM user_chain_status c WHERE c.user_id = w.user_id
                               AND c.wallet_address = w.wallet_address AND c.last_success_at IS NOT NULL)) AS never_read
    FROM user_wallets w WHERE w.user_id = %(user)s
), opened AS (
    INSERT INTO user_sync_status AS s (user_id, opened_fence, sync_status, last_active_at)
    SELECT %(user)s, 1, 'running', CASE WHEN %(active)s THEN now() END FROM wallets WHERE addresses IS NOT NULL
    ON CONFLICT (user_id) DO UPDATE
    SET opened_fence = s.opened_fence + CASE WHEN EXISTS (SELECT 1 FROM existing) THEN 0 ELSE 1 END,
        sync_status = 'running',
        last_active_at = CASE WHEN %(active)s THEN now() ELSE s.last_active_at END
    RETURNING opened_fence, portfolio_version, is_sync_enabled
)
SELECT coalesce(e.fence, o.opened_fence, 0), coalesce(o.portfolio_version, 0), coalesce(w.addresses, '{}'),
       coalesce(w.never_read, false), e.status,
       coalesce(o.is_sync_enabled, true),
       (SELECT count(*) FROM user_token_holdings h WHERE h.user_id = %(user)s)
FROM wallets w LEFT JOIN opened o ON true LEFT JOIN existing e ON true
"""

_BEGIN = """
WITH claim AS (
    UPDATE sync_requests SET status = 'claimed', claimed_at = now(), sync_operation_id = %(operation)s
    WHERE id = %(request)s AND user_id = %(user)s AND (status = 'pending' OR sync_operation_id = %(operation)s)
    RETURNING priority
)
INSERT INTO sync_operations (id, user_id, status, priority, trigger, request_id, fence, started_at, worker_id,
                             dagster_run_id, retry_count, portfolio_version)
SELECT %(operation)s, %(user)s, 'running', coalesce((SELECT priority FROM claim), %(priority)s), %(trigger)s,
       %(request)s, %(fence)s, %(started_at)s, %(worker)s, %(run)s, %(retry)s, %(version)s
WHERE %(request)s::uuid IS NULL OR EXISTS (SELECT 1 FROM claim)
ON CONFLICT (id) DO UPDATE SET retry_count = sync_operations.retry_count + 1
RETURNING started_at, retry_count
"""


def open_user(connection: Connection, *, user_id: str, operation_id: UUID, active: bool) -> OpenedRow:
    """Takes the user's lock and the next number among his syncs; the same operation keeps its number.

    Args:
        connection: Inside a transaction, which holds the lock until it ends.
        user_id: Whose.
        operation_id: Which sync.
        active: Whether a person's act started it, which counts as the user's activity.
    """
    row = connection.exec_driver_sql(_OPEN, {"user": user_id, "operation": operation_id, "active": active}).one()
    fence, version, wallets, never_read, existing, enabled, tokens_held = row
    return OpenedRow(fence, version, tuple(wallets), never_read, existing, enabled, tokens_held)


def begin_operation(
    connection: Connection,
    *,
    operation_id: UUID,
    user_id: str,
    trigger: str,
    priority: str,
    request_id: UUID | None,
    fence: int,
    version: int,
    started_at: datetime,
    worker_id: str,
    run_id: str | None,
    retry: int,
) -> tuple[datetime, int] | None:
    """Records the operation as running and claims its request.

    Returns:
        When it started and which try it is; ``None`` when another sync has the request.
    """
    row = connection.exec_driver_sql(
        _BEGIN,
        {
            "operation": operation_id, "user": user_id, "trigger": trigger, "priority": priority,
            "request": request_id, "fence": fence, "version": version, "started_at": started_at,
            "worker": worker_id, "run": run_id, "retry": retry,
        },
    ).one_or_none()  # fmt: skip
    return None if row is None else (row[0], row[1])


_REFUSE = """
WITH locked AS (
    SELECT user_id, portfolio_version FROM user_sync_status WHERE user_id = %(user)s FOR UPDATE
), refused AS (
    INSERT INTO sync_operations (id, user_id, status, priority, trigger, request_id, started_at, completed_at,
                                 duration_ms, worker_id, dagster_run_id, error_code, error_message, portfolio_version)
    SELECT %(operation)s, user_id, 'refused', %(priority)s, %(trigger)s, %(request)s, %(now)s, %(now)s, 0, %(worker)s,
           %(run)s, %(code)s, %(message)s, portfolio_version
    FROM locked
    ON CONFLICT (id) DO NOTHING
    RETURNING portfolio_version
)
SELECT w.wallet_address, r.portfolio_version
FROM refused r, user_wallets w WHERE w.user_id = %(user)s ORDER BY w.position LIMIT 1
"""


def refuse_operation(
    connection: Connection,
    *,
    operation_id: UUID,
    user_id: str,
    trigger: str,
    priority: str,
    request_id: UUID | None,
    worker_id: str,
    run_id: str | None,
    code: str,
    message: str,
    now: datetime,
) -> tuple[str, int] | None:
    """Records an operation that was not begun, under the user's lock.

    Returns:
        The user's first wallet and the version of his portfolio; ``None`` where the operation is recorded
        already, or there is no such user.
    """
    row = connection.exec_driver_sql(
        _REFUSE,
        {
            "operation": operation_id, "user": user_id, "trigger": trigger, "priority": priority,
            "request": request_id, "worker": worker_id, "run": run_id, "code": code, "message": message, "now": now,
        },
    ).one_or_none()  # fmt: skip
    return None if row is None else (row[0], row[1])


class LockedUser(NamedTuple):
    """A user under his lock, and the operation that wants to be stored."""

    user_id: str
    stored_fence: int
    version: int
    content_hash: bytes | None
    snapshot_at: datetime | None
    failures: int
    operation_status: str | None


_LOCK = """
SELECT s.user_id, s.stored_fence, s.portfolio_version, s.content_hash, s.snapshot_at, s.consecutive_failures, o.status
FROM json_to_recordset(%s::json) AS x(user_id text, operation_id uuid)
JOIN user_sync_status s USING (user_id)
LEFT JOIN sync_operations o ON o.id = x.operation_id
ORDER BY s.user_id
FOR UPDATE OF s
"""


def lock_users(
    connection: Connection, syncs: Sequence[tuple[str, UUID]], *, seconds: float = 60
) -> dict[str, LockedUser]:
    """Takes the locks of users, in the order of their ids so that two batches can't wait for each other.

    Args:
        connection: Inside a transaction.
        syncs: Users, and the operations that want to be stored.
        seconds: The longest that a statement of the transaction may take from here on.
    """
    # The limit goes with the lock in one round trip.
    rows = connection.exec_driver_sql(
        f"SET LOCAL statement_timeout = {max(1, int(seconds * 1000))}; {_LOCK}",
        (recordset({"user_id": user, "operation_id": operation} for user, operation in syncs),),
    )
    return {
        row[0]: LockedUser(
            row[0], row[1], row[2], bytes(row[3]) if row[3] is not None else None, row[4], row[5], row[6]
        )
        for row in rows
    }


class OperationEnd(NamedTuple):
    """How a sync ended, and what becomes of its user.

    Attributes:
        operation_id, user_id: Which, whose.
        status: ``completed``, ``partial``, ``failed``, ``cancelled`` or ``refused``.
        stored_fence: The number under which the user's data now stands; ``None`` leaves it.
        version: His portfolio version from now on.
        content_hash: Of the stored positions; ``None`` leaves it.
        total_value_usd: Of the portfolio; ``None`` leaves it.
        snapshot: Whether history was written.
        next_sync_at: When he is due again; ``None`` leaves it.
        failures: Failures in a row from now on.
        chains: How each wallet and chain ended, for the operator.
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


class ChainStatusRow(NamedTuple):
    """One attempt to read a wallet on a chain; ``error`` also tells what a source can't know."""

    user_id: str
    wallet_address: str
    chain_id: int
    ok: bool
    attempted_at: datetime | None
    error: str | None
    source: str | None
    coverage: str | None


_END = """
WITH ends AS (
    SELECT * FROM json_to_recordset(%(ends)s::json) AS x(
        operation_id uuid, user_id text, status text, completed_at timestamptz, duration_ms integer, version bigint,
        tokens integer, chains_synced integer, total_value_usd numeric, error_code text, error_message text,
        stored_fence bigint, content_hash text, snapshot boolean, next_sync_at timestamptz, failures integer,
        chains jsonb, provider_calls integer, compute_units integer)
), statuses AS (
    INSERT INTO user_chain_status AS c (user_id, wallet_address, chain_id, status, last_success_at, last_attempt_at,
                                        error, source, coverage)
    SELECT user_id, wallet_address, chain_id, CASE WHEN ok THEN 'fresh' ELSE 'never' END,
           CASE WHEN ok THEN attempted_at END, attempted_at, error, source, coverage
    FROM json_to_recordset(%(statuses)s::json) AS x(
        user_id text, wallet_address text, chain_id integer, ok boolean, attempted_at timestamptz, error text,
        source text, coverage text)
    ON CONFLICT (user_id, wallet_address, chain_id) DO UPDATE
    SET status = CASE WHEN excluded.status = 'fresh' THEN 'fresh' WHEN c.last_success_at IS NULL THEN 'never'
                      ELSE 'stale' END,
        last_success_at = coalesce(excluded.last_success_at, c.last_success_at),
        last_attempt_at = coalesce(excluded.last_attempt_at, c.last_attempt_at),
        error = excluded.error,
        source = coalesce(excluded.source, c.source),
        coverage = coalesce(excluded.coverage, c.coverage)
), operations AS (
    UPDATE sync_operations o
    SET status = e.status, completed_at = e.completed_at, duration_ms = e.duration_ms, tokens_synced = e.tokens,
        chains_synced = e.chains_synced, total_value_usd = e.total_value_usd, error_code = e.error_code,
        error_message = e.error_message, portfolio_version = e.version, chains = e.chains,
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
    last_sync_at = CASE WHEN e.chains_synced > 0 THEN e.completed_at ELSE s.last_sync_at END,
    last_sync_operation_id = CASE WHEN e.status IN ('completed', 'partial', 'failed') THEN e.operation_id
                                  ELSE s.last_sync_operation_id END,
    next_sync_at = coalesce(e.next_sync_at, s.next_sync_at),
    consecutive_failures = e.failures,
    last_error_message = CASE WHEN e.status = 'completed' THEN NULL
                              WHEN e.status IN ('partial', 'failed') THEN e.error_message
                              ELSE s.last_error_message END,
    last_error_at = CASE WHEN e.status = 'completed' THEN NULL
                         WHEN e.status IN ('partial', 'failed') THEN e.completed_at ELSE s.last_error_at END,
    total_value_usd = coalesce(CASE WHEN e.chains_synced > 0 THEN e.total_value_usd END, s.total_value_usd),
    portfolio_version = e.version,
    content_hash = coalesce(decode(e.content_hash, 'hex'), s.content_hash),
    stored_fence = coalesce(e.stored_fence, s.stored_fence),
    snapshot_at = CASE WHEN e.snapshot THEN e.completed_at ELSE s.snapshot_at END
FROM ends e WHERE s.user_id = e.user_id
"""


def end_operations(
    connection: Connection, ends: Sequence[OperationEnd], statuses: Sequence[ChainStatusRow] = ()
) -> None:
    """Writes how syncs ended: operation, request, chain statuses and user, in one statement.

    An operation that has ended stays as it is. The caller holds the users' locks.
    """
    rows = [{**e._asdict(), "content_hash": e.content_hash.hex() if e.content_hash else None} for e in ends]
    connection.exec_driver_sql(_END, {"ends": recordset(rows), "statuses": recordset(s._asdict() for s in statuses)})
