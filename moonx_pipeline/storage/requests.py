"""Requests for syncs: who asked for what, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection


def add_request(
    connection: Connection, user_id: str, *, source: str, priority: str, idempotency_key: str | None = None
) -> UUID:
    """Asks for a sync; the same key of the same user again is the same request.

    Args:
        connection: Any.
        user_id: Whose portfolio.
        source: Who asks, such as ``cli`` or ``api``.
        priority: ``high``, ``medium`` or ``low``.
        idempotency_key: The caller's own name for this request.
    """
    request_id: UUID = connection.exec_driver_sql(
        "INSERT INTO sync_requests AS r (user_id, source, priority, idempotency_key) VALUES (%s, %s, %s, %s) "
        "ON CONFLICT (user_id, idempotency_key) DO UPDATE SET user_id = r.user_id RETURNING id",
        (user_id, source, priority, idempotency_key),
    ).scalar_one()
    return request_id


def refuse_request(connection: Connection, request_id: UUID, reason: str) -> None:
    """Ends a request that can't be served."""
    connection.exec_driver_sql(
        "UPDATE sync_requests SET status = 'refused', reason = %s, completed_at = now() "
        "WHERE id = %s AND status IN ('pending', 'claimed')",
        (reason, request_id),
    )


def requeue_requests(connection: Connection, operations: Sequence[UUID], tries: int) -> None:
    """Lets requests wait again whose operations were lost with their worker; refuses those lost too often.

    Args:
        connection: Inside the transaction that closes the operations.
        operations: The lost ones.
        tries: After so many lost workers, the request itself is what kills them.
    """
    connection.exec_driver_sql(
        "UPDATE sync_requests r SET attempts = x.attempts, claimed_at = NULL, sync_operation_id = NULL, "
        "status = CASE WHEN x.again THEN 'pending' ELSE 'refused' END, "
        "reason = CASE WHEN x.again THEN NULL ELSE 'Its worker died ' || x.attempts || ' times.' END, "
        "completed_at = CASE WHEN x.again THEN NULL ELSE now() END "
        "FROM (SELECT id, attempts + 1 AS attempts, attempts + 1 < %s AS again FROM sync_requests "
        "WHERE sync_operation_id = ANY(%s::uuid[]) AND status = 'claimed') x WHERE r.id = x.id",
        (tries, list(operations)),
    )
