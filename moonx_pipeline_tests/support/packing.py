"""Events that can be packed, and all events that are kept."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Engine

from moonx_pipeline.clock import utc_now
from moonx_pipeline.domain.events import Event
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.syncs.event_reads import ReplayCursor, read_since
from moonx_pipeline.storage.syncs.outbox import OutboxRow
from moonx_pipeline.storage.upkeep.pack_events import pack_outbox
from moonx_pipeline_tests.support.outbox import put

LONG_AGO = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
TWO_DAYS = timedelta(days=2)


def publish_all(engine: Engine, *, ago: timedelta = TWO_DAYS) -> None:
    """Makes all plain events published and that much older."""
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE outbox_events SET published_at = coalesce(published_at, now()), created_at = created_at - %s",
            (ago,),
        )


def put_old(engine: Engine, *events: Event) -> None:
    """Puts events that were published two days ago, each in a transaction of its own."""
    for event in events:
        put(engine, event)
        with engine.begin() as connection:
            connection.exec_driver_sql(
                "UPDATE outbox_events SET published_at = now(), created_at = created_at - %s WHERE id = %s",
                (TWO_DAYS, event.id),
            )


def pack(engine: Engine) -> int:
    """Packs what is published and older than an hour; returns how many events."""
    return sum(pack_outbox(engine, utc_now() - timedelta(hours=1)))


def kept(
    engine: Engine, user_id: str | None = None, *, since: datetime = LONG_AGO, limit: int = 500
) -> list[OutboxRow]:
    """All kept events as a replay reads them."""
    cursor: ReplayCursor | None = ReplayCursor()
    found: list[OutboxRow] = []
    with autocommit(engine) as connection:
        while cursor is not None:
            rows, cursor = read_since(connection, since, user_id, cursor, limit)
            found += rows
    return found


def plain_count(engine: Engine) -> int:
    """Events that are not packed."""
    with engine.connect() as connection:
        return connection.exec_driver_sql("SELECT count(*) FROM outbox_events").scalar_one()
