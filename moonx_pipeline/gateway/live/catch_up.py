"""The stored portfolio, for a socket that may have missed changes."""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Engine

from moonx_pipeline.domain.event_types import PORTFOLIO_UPDATED
from moonx_pipeline.domain.events import event_id_of, portfolio_data
from moonx_pipeline.storage.portfolios.portfolio import StoredPortfolio, portfolio_version, read_portfolio


class CurrentPortfolio(NamedTuple):
    """What the latest ``portfolio_update`` would have said."""

    version: int
    data: dict[str, Any]


def current_portfolio(engine: Engine, user_id: str, known_version: int | None) -> CurrentPortfolio | None:
    """A user's portfolio in the form of a live update; ``None`` if the client has the current version.

    Args:
        engine: The pipeline's database.
        user_id: The user.
        known_version: The client's version; ``None`` if it is unknown.

    Raises:
        DBAPIError: The database is away.
    """
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        version = portfolio_version(connection, user_id)
        if version == known_version:
            return None
        stored = read_portfolio(connection, user_id) or StoredPortfolio.empty(user_id, version)
        operation_id, duration_ms = _last_sync(connection, user_id)
    data = portfolio_data(
        operation_id,
        at=stored.as_of,
        duration_ms=duration_ms,
        positions=stored.positions,
        totals=stored.totals,
    )
    event_id = str(event_id_of(operation_id, PORTFOLIO_UPDATED.name)) if operation_id else None
    return CurrentPortfolio(stored.version, {**data, "version": stored.version, "eventId": event_id})


def _last_sync(connection: Connection, user_id: str) -> tuple[UUID | None, int | None]:
    """The last sync and its duration; if it changed the portfolio, the event's id is that of its own event."""
    row = connection.exec_driver_sql(
        "SELECT s.last_sync_operation_id, o.duration_ms FROM user_sync_status s "
        "LEFT JOIN sync_operations o ON o.id = s.last_sync_operation_id WHERE s.user_id = %s",
        (user_id,),
    ).one_or_none()
    return (row[0], row[1]) if row else (None, None)
