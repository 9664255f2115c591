"""The queue of requests for syncs: who asked for what, and its outcome.

At most one request of a user waits, and it serves everyone who asks meanwhile. Asking again by the same idempotency
key always returns the same answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from moonx_pipeline.storage.protection.rate_limits import Limit
from moonx_pipeline.tracing import current_traceparent

SOURCES: Final = ("cli", "api", "wallets", "login", "webhook", "backfill")
"""Who asks, a user's own act first: if two meet in one request, the one named first here counts."""


class RequestingUser(NamedTuple):
    """A user with wallets, under their lock."""

    enabled: bool
    version: int
    first_wallet: str


class Answer(NamedTuple):
    """The answer to a request.

    Attributes:
        request_id: The request that serves the user.
        remaining: What was left of the user's rate limit; ``None`` if they have none.
        reset_at: When the next permit comes back.
        asked: What was asked for, in the asker's own words; ``None`` if that is not known.
    """

    request_id: UUID
    remaining: int | None
    reset_at: datetime | None
    asked: str | None = None


_LOCK = """
INSERT INTO user_sync_status AS s (user_id, last_active_at)
SELECT %(user)s, CASE WHEN %(active)s THEN now() END
WHERE EXISTS (SELECT 1 FROM user_wallets WHERE user_id = %(user)s)
ON CONFLICT (user_id) DO UPDATE SET last_active_at = CASE WHEN %(active)s THEN now() ELSE s.last_active_at END
RETURNING is_sync_enabled, portfolio_version,
          (SELECT wallet_address FROM user_wallets w WHERE w.user_id = s.user_id ORDER BY position LIMIT 1)
"""


def lock_asker(connection: Connection, user_id: str, *, active: bool) -> RequestingUser | None:
    """Takes a user's lock and registers them for unattended syncs; ``None`` if they have no wallets.

    Args:
        connection: Inside a transaction, which holds the lock until it ends.
        user_id: The user.
        active: Whether the user asks in person, which counts as activity.
    """
    row = connection.exec_driver_sql(_LOCK, {"user": user_id, "active": active}).one_or_none()
    return None if row is None else RequestingUser(*row)


def answer_of(connection: Connection, user_id: str, key: str) -> Answer | None:
    """The answer that a user got before for this idempotency key."""
    row = connection.exec_driver_sql(
        "SELECT request_id, remaining, reset_at, asked FROM sync_request_keys WHERE user_id = %(user)s "
        "AND idempotency_key = %(key)s UNION ALL SELECT id, NULL, NULL, NULL FROM sync_requests "
        "WHERE user_id = %(user)s AND idempotency_key = %(key)s LIMIT 1",
        {"user": user_id, "key": key},
    ).one_or_none()
    return None if row is None else Answer(*row)


def remember_answer(connection: Connection, user_id: str, key: str, answer: Answer) -> None:
    """Keeps an answer for requests by the same key."""
    connection.exec_driver_sql(
        "INSERT INTO sync_request_keys (user_id, idempotency_key, request_id, remaining, reset_at, asked) "
        "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (user_id, key, *answer),
    )


def priority_of(connection: Connection, request_id: UUID) -> str:
    """The priority that a stored request has now."""
    priority: str = connection.exec_driver_sql(
        "SELECT priority FROM sync_requests WHERE id = %s", (request_id,)
    ).scalar_one()
    return priority


def permits_left(connection: Connection, limit: Limit) -> tuple[int | None, datetime | None]:
    """What is left of a limit now, and when the next permit comes back; takes nothing."""
    remaining, reset_at = connection.exec_driver_sql(
        "SELECT remaining, reset_at FROM permits_left(%s, %s, %s)", (limit.key, limit.most, limit.window)
    ).one()
    return remaining, reset_at


# A run of a low-priority request waits behind others: a request that is raised gets another run.
MERGE_WAITING: Final = """
ON CONFLICT (user_id) WHERE status = 'pending' DO UPDATE
SET priority = CASE WHEN excluded.priority_rank < r.priority_rank THEN excluded.priority ELSE r.priority END,
    source = CASE WHEN array_position(%(sources)s::text[], excluded.source)
                       < array_position(%(sources)s::text[], r.source) THEN excluded.source ELSE r.source END,
    launched_at = CASE WHEN r.priority = 'low' AND excluded.priority <> 'low' THEN NULL ELSE r.launched_at END,
    look_at = CASE WHEN r.priority = 'low' AND excluded.priority <> 'low' THEN NULL ELSE r.look_at END
"""

_ADD = f"""
WITH known AS (
    SELECT id FROM sync_requests WHERE user_id = %(user)s AND idempotency_key = %(key)s
), added AS (
    INSERT INTO sync_requests AS r (id, user_id, source, priority, idempotency_key, traceparent)
    SELECT coalesce(%(id)s, gen_random_uuid()), %(user)s, %(source)s, %(priority)s, %(key)s, %(trace)s
    WHERE NOT EXISTS (SELECT 1 FROM known)
    {MERGE_WAITING}
    RETURNING id
)
SELECT id FROM known UNION ALL SELECT id FROM added
"""  # noqa: S608 - constants


def add_request(
    connection: Connection,
    user_id: str,
    *,
    source: str,
    priority: str,
    idempotency_key: str | None = None,
    request_id: UUID | None = None,
) -> UUID:
    """Asks for a sync. If a request of the user waits, it serves this one, too, and takes the higher priority.

    Args:
        connection: Inside a transaction.
        user_id: The user.
        source: Who asks, one of ``SOURCES``.
        priority: ``high``, ``medium`` or ``low``.
        idempotency_key: The caller's own name for this request.
        request_id: Its id if it is a new one.

    Returns:
        The request that serves it.
    """
    parameters = {
        "id": request_id,
        "user": user_id,
        "source": source,
        "priority": priority,
        "key": idempotency_key,
        "trace": current_traceparent(),
        "sources": list(SOURCES),
    }
    served_by: UUID = connection.exec_driver_sql(_ADD, parameters).scalar_one()
    return served_by


def withdraw_request(connection: Connection, request_id: UUID) -> None:
    """Removes a request that this very transaction has added."""
    connection.exec_driver_sql("DELETE FROM sync_requests WHERE id = %s", (request_id,))


def refuse_request(connection: Connection, request_id: UUID, reason: str) -> None:
    """Ends a request that can't be served."""
    connection.exec_driver_sql(
        "UPDATE sync_requests SET status = 'refused', reason = %s, completed_at = now() "
        "WHERE id = %s AND status IN ('pending', 'claimed')",
        (reason, request_id),
    )


# Of a user's lost requests one waits again, or none if another waits already: that one serves the others.
_REQUEUE = """
WITH lost AS (
    SELECT id, user_id, priority, priority_rank, attempts + 1 AS attempts, attempts + 1 < %(tries)s AS again,
           row_number() OVER (PARTITION BY user_id, attempts + 1 < %(tries)s
                              ORDER BY priority_rank, created_at, id) AS place
    FROM sync_requests WHERE sync_operation_id = ANY(%(operations)s::uuid[]) AND status = 'claimed'
), waiting AS (
    SELECT w.user_id, w.id, l.priority, l.priority_rank
    FROM sync_requests w JOIN lost l ON l.user_id = w.user_id AND l.again AND l.place = 1 WHERE w.status = 'pending'
), raised AS (
    UPDATE sync_requests r
    SET priority = w.priority, launched_at = CASE WHEN r.priority <> 'low' THEN r.launched_at END,
        look_at = CASE WHEN r.priority <> 'low' THEN r.look_at END
    FROM waiting w WHERE r.id = w.id AND w.priority_rank < r.priority_rank
), ends AS (
    SELECT l.id, l.attempts, l.again, nullif(coalesce(w.id, f.id), l.id) AS served_by
    FROM lost l LEFT JOIN waiting w USING (user_id)
    LEFT JOIN lost f ON f.user_id = l.user_id AND f.again AND f.place = 1
)
UPDATE sync_requests r
SET attempts = e.attempts, claimed_at = NULL, sync_operation_id = NULL, launched_at = NULL, look_at = NULL,
    status = CASE WHEN NOT e.again THEN 'refused' WHEN e.served_by IS NULL THEN 'pending' ELSE 'cancelled' END,
    reason = CASE WHEN NOT e.again THEN 'Its worker died ' || e.attempts || ' times.'
                  WHEN e.served_by IS NOT NULL
                  THEN 'Its worker died. Request ' || e.served_by || ' serves it as well.' END,
    served_by = CASE WHEN e.again THEN e.served_by END,
    completed_at = CASE WHEN e.again AND e.served_by IS NULL THEN NULL ELSE now() END
FROM ends e WHERE r.id = e.id
"""
_TRIES: Final = 3


def requeue_requests(connection: Connection, operations: Sequence[UUID], tries: int) -> None:
    """Makes requests wait again whose operations were lost with their worker; refuses those lost too often.

    Args:
        connection: Inside the transaction that closes the operations.
        operations: The lost ones.
        tries: After so many lost workers, the request itself is what kills them.
    """
    for number in range(1, _TRIES + 1):
        try:
            with connection.begin_nested():
                connection.exec_driver_sql(_REQUEUE, {"operations": list(operations), "tries": tries})
                return
        except IntegrityError:
            # A request for one of these users came in a moment ago: it is seen now, and serves both.
            if number == _TRIES:
                raise
