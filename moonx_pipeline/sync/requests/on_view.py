"""Handles a user's view of their portfolio: asks for a sync if it is old, and counts the user as active."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import uuid4

from sqlalchemy import Connection, Engine

from moonx_pipeline.clock import utc_now
from moonx_pipeline.domain.events import user_activity
from moonx_pipeline.settings import Settings
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.requests.queue import lock_asker
from moonx_pipeline.storage.requests.views import note_viewed, view_due
from moonx_pipeline.storage.syncs.outbox import insert_events
from moonx_pipeline.sync.requests.ask import SyncRequestResult, ask_within, briefly

RECENT: Final = timedelta(minutes=5)
"""The age from which a viewed portfolio is read again; syncs and views within it are not repeated."""


def refresh_on_view(engine: Engine, settings: Settings, user_id: str) -> SyncRequestResult | None:
    """Notes that a user viewed their portfolio, and asks for a sync if it was never read or is old.

    Any number of concurrent views ask for one sync at most, which takes no permit of the user. Most views cost one
    query.

    Args:
        engine: The pipeline's database.
        settings: Settings with how often to retry while the database is away.
        user_id: The portfolio's user; without wallets, nothing happens.

    Returns:
        The request, if this view made it.
    """

    def look() -> bool:
        with autocommit(engine) as connection:
            return not view_due(connection, user_id, RECENT).is_nothing

    def note() -> SyncRequestResult | None:
        with engine.begin() as connection:
            return _note(connection, user_id)

    return briefly(settings, note) if briefly(settings, look) else None


def _note(connection: Connection, user_id: str) -> SyncRequestResult | None:
    viewer = lock_asker(connection, user_id, active=False)
    if viewer is None:
        return None
    # Another view may have been first: check what is due again, now under the lock.
    due = view_due(connection, user_id, RECENT)
    if due.noted:
        note_viewed(connection, user_id)
        event = user_activity(
            user_id,
            viewer.first_wallet,
            activity="portfolio_viewed",
            activity_id=uuid4(),
            version=viewer.version,
            at=utc_now(),
        )
        insert_events(connection, [event])
    if due.priority is None:
        return None
    return ask_within(connection, user_id, source="login", priority=due.priority)
