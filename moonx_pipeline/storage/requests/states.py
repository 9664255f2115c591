"""Follows requests to their end: what changed since the last look, in a few queries regardless of their number."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from moonx_pipeline.storage.connection.statements import sql_beside


class RequestState(NamedTuple):
    """A request and the sync that serves it.

    Attributes:
        request_id: The request that was followed.
        user_id: The user.
        status: ``pending``, ``claimed``, ``done``, ``refused`` or ``cancelled``.
        operation_id: Its sync, once begun.
        outcome: How the sync ended, or the request without one; ``None`` until then.
        message: Why, unless it ended as ``completed``.
        total_value_usd: The portfolio's total if the sync stored one.
        duration_ms: The sync's duration.
    """

    request_id: UUID
    user_id: str
    status: str
    operation_id: UUID | None
    outcome: str | None
    message: str | None
    total_value_usd: Decimal | None
    duration_ms: int | None

    @property
    def has_ended(self) -> bool:
        return self.outcome is not None


def begin_following(connection: Connection, requests: Sequence[UUID]) -> None:
    """Notes which requests are followed, for this connection only.

    Args:
        connection: Keep it until the last look, then close it: the list of followed requests ends with its session.
        requests: Any number of them.
    """
    connection.exec_driver_sql(
        "CREATE TEMP TABLE followed_requests AS SELECT id, id AS served_by, ''::text AS status "
        "FROM (SELECT DISTINCT unnest(%s::uuid[]) AS id) x",
        (list(requests),),
    )


_CHANGED: Final = sql_beside(__file__, "changed_requests")


def changed_requests(connection: Connection) -> list[RequestState]:
    """The followed requests that changed since the last look; the first look returns all. Ended ones are dropped."""
    connection.exec_driver_sql(
        "UPDATE followed_requests f SET served_by = r.served_by FROM sync_requests r "
        "WHERE r.id = f.served_by AND r.served_by IS NOT NULL"
    )
    states = [RequestState(*row) for row in connection.exec_driver_sql(_CHANGED)]
    connection.exec_driver_sql("DELETE FROM followed_requests WHERE status IN ('done', 'refused', 'cancelled')")
    return states


def are_followed(connection: Connection) -> bool:
    """Whether any request is still followed."""
    followed: bool = connection.exec_driver_sql("SELECT EXISTS (SELECT 1 FROM followed_requests)").scalar_one()
    return followed
