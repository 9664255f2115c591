"""Syncs and requests to end before they are done."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from moonx_pipeline.domain.events import SyncRef


class OpenOperation(NamedTuple):
    """A sync that runs or waits.

    Attributes:
        ref: The sync.
        run_id: The run that executes it.
        request_id: The request that it serves.
    """

    ref: SyncRef
    run_id: str | None
    request_id: UUID | None


def owner_of(connection: Connection, sync_id: UUID) -> str | None:
    """The user whose sync or request an id names."""
    user_id: str | None = connection.exec_driver_sql(
        "SELECT user_id FROM sync_operations WHERE id = %(id)s "
        "UNION ALL SELECT user_id FROM sync_requests WHERE id = %(id)s LIMIT 1",
        {"id": sync_id},
    ).scalar()
    return user_id


def open_operation(connection: Connection, sync_id: UUID) -> OpenOperation | None:
    """The sync that an id names, directly or by the request that it serves, unless it has ended."""
    row = connection.exec_driver_sql(
        "SELECT o.id, o.user_id, (SELECT wallet_address FROM user_wallets w WHERE w.user_id = o.user_id "
        "ORDER BY position LIMIT 1), o.trigger, o.started_at, o.retry_count, o.dagster_run_id, o.request_id "
        "FROM sync_operations o WHERE o.status IN ('pending', 'running') "
        "AND o.id IN (%(id)s, (SELECT sync_operation_id FROM sync_requests WHERE id = %(id)s))",
        {"id": sync_id},
    ).one_or_none()
    return None if row is None else OpenOperation(SyncRef(*row[:6]), *row[6:])


def cancel_waiting_request(connection: Connection, request_id: UUID, reason: str) -> bool:
    """Cancels a request that no sync has taken yet; returns whether there was one."""
    ended = connection.exec_driver_sql(
        "UPDATE sync_requests SET status = 'cancelled', reason = %s, completed_at = now() "
        "WHERE id = %s AND status = 'pending'",
        (reason, request_id),
    )
    return ended.rowcount > 0


def why_not_begun(connection: Connection, operation_id: UUID, request_id: UUID | None) -> str | None:
    """Why a waiting sync must not begin: it, or its request, was cancelled meanwhile."""
    reason: str | None = connection.exec_driver_sql(
        "SELECT error_message FROM sync_operations WHERE id = %(operation)s AND status = 'cancelled' "
        "UNION ALL SELECT reason FROM sync_requests WHERE id = %(request)s AND status = 'cancelled' LIMIT 1",
        {"operation": operation_id, "request": request_id},
    ).scalar()
    return reason
