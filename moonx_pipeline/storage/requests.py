"""Requests for syncs: who asked for what, and what became of it."""

from __future__ import annotations

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
