"""A user's syncs as they look them up: a list of the last ones, and one in detail."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from moonx_pipeline.storage.packs.operation_packs import PACK_COLUMNS, unpack_operations
from moonx_pipeline.storage.syncs.operation_rows import OperationDetailRow, OperationRow

_COLUMNS: Final = (
    "id, type, status, priority, trigger, started_at, completed_at, duration_ms, tokens_synced, chains_synced, "
    "total_value_usd, error_code, error_message, retry_count, portfolio_version"
)

_LIST: Final = (
    f"SELECT {_COLUMNS} FROM sync_operations WHERE user_id = %(user)s "  # noqa: S608 - a constant
    "AND started_at > now() - make_interval(days => %(days)s) "
    "AND (%(status)s::text IS NULL OR status = %(status)s) AND (%(since)s::timestamptz IS NULL "
    "OR started_at < %(since)s OR (started_at = %(since)s AND id > %(last)s)) "
    "ORDER BY started_at DESC, id LIMIT %(limit)s"
)
_PACKS: Final = (
    "SELECT id, last_started_at FROM operation_packs WHERE user_id = %(user)s "
    "AND last_started_at > now() - make_interval(days => %(days)s) "
    "AND (%(status)s::text IS NULL OR %(status)s = ANY(statuses)) "
    "AND (%(since)s::timestamptz IS NULL OR first_started_at <= %(since)s) ORDER BY last_started_at DESC"
)
_LAST: Final = datetime.max.replace(tzinfo=UTC)


def list_operations(
    connection: Connection,
    user_id: str,
    *,
    limit: int,
    status: str | None,
    days: int,
    before: OperationRow | None = None,
) -> list[OperationRow]:
    """A user's syncs that began in the last days, newest first.

    Args:
        connection: Any.
        user_id: The user.
        limit: How many at most.
        status: Only those of this status; ``None`` for all.
        days: Of 24 hours each.
        before: Only what comes after it in this order; ``None`` for the first page.
    """
    parameters = {
        "user": user_id,
        "days": days,
        "status": status,
        "limit": limit,
        "since": before.started_at if before else None,
        "last": before.operation_id if before else None,
    }
    # The table comes first: what is packed in between is found twice, and never not at all.
    found = {row[0]: OperationRow(*row) for row in connection.exec_driver_sql(_LIST, parameters)}
    for pack_id, newest in connection.exec_driver_sql(_PACKS, parameters).all():
        if len(found) >= limit and sorted(found.values(), key=_order)[limit - 1].started_at > newest:
            break
        cut = datetime.now(UTC) - timedelta(days=days)
        for packed in _unpacked(connection, "id = %s", pack_id):
            row = packed.operation
            is_wanted = row.started_at > cut and status in (None, row.status)
            if is_wanted and (before is None or _order(row) > _order(before)):
                found[row.operation_id] = row
    return sorted(found.values(), key=_order)[:limit]


def _order(row: OperationRow) -> tuple[timedelta, UUID]:
    return _LAST - row.started_at, row.operation_id


def _unpacked(connection: Connection, condition: str, *parameters: object) -> list[OperationDetailRow]:
    """The operations of the pack that fulfils a condition; none if there is no such pack."""
    pack = connection.exec_driver_sql(
        f"SELECT {PACK_COLUMNS} FROM operation_packs WHERE {condition} LIMIT 1",  # noqa: S608 - constants
        parameters,
    ).one_or_none()
    return [] if pack is None else unpack_operations(*pack)


def read_operation(connection: Connection, user_id: str, operation_id: UUID) -> OperationDetailRow | None:
    """One sync of a user; ``None`` if they have none of that id."""
    row = connection.exec_driver_sql(
        f"SELECT {_COLUMNS}, coalesce(chains, '[]'), provider_calls, compute_units, request_id, worker_id, "  # noqa: S608
        "dagster_run_id FROM sync_operations WHERE id = %s AND user_id = %s",
        (operation_id, user_id),
    ).one_or_none()
    if row is None:
        packed = _unpacked(connection, "user_id = %s AND %s = ANY(ids)", user_id, operation_id)
        return next((one for one in packed if one.operation.operation_id == operation_id), None)
    of_list = len(OperationRow._fields)
    return OperationDetailRow(OperationRow(*row[:of_list]), *row[of_list:])


def is_own(connection: Connection, user_id: str, sync_id: UUID) -> bool:
    """Whether an id names a sync or a request of the user."""
    found: bool = connection.exec_driver_sql(
        "SELECT EXISTS (SELECT 1 FROM sync_operations WHERE id = %(id)s AND user_id = %(user)s) "
        "OR EXISTS (SELECT 1 FROM sync_requests WHERE id = %(id)s AND user_id = %(user)s) "
        "OR EXISTS (SELECT 1 FROM operation_packs WHERE user_id = %(user)s AND %(id)s = ANY(ids))",
        {"id": sync_id, "user": user_id},
    ).scalar_one()
    return found
