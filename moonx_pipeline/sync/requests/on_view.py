"""What follows when a user looks at his portfolio: it is read again where it is old, and he counts as active."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

from sqlalchemy import Connection, Engine

from moonx_pipeline.domain.events import user_activity
from moonx_pipeline.settings import Settings
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.requests.queue import lock_asker
from moonx_pipeline.storage.requests.views import note_viewed, view_due
from moonx_pipeline.storage.syncs.outbox import insert_events
from moonx_pipeline.sync.requests.ask import Asked, ask_within, briefly

RECENT: Final = timedelta(minutes=5)
"""A portfolio that was read longer ago is read again; what was tried, or noted, since then is not again."""


def note_view(engine: Engine, settings: Settings, user_id: str) -> Asked | None:
    """Notes that a user looked at his portfolio, and asks for its sync where there is none, or an old one.

    However many look at once, they ask for one sync at most, and it takes none of what the person may ask for.
    Most looks cost one query.

    Args:
        engine: The pipeline's database.
        settings: For how often a step is done again where the database is away.
        user_id: Whose portfolio; nothing follows where he has no wallets.

    Returns:
        The request, where this look made it.
    """

    def look() -> bool:
        with autocommit(engine) as connection:
            return not view_due(connection, user_id, RECENT).is_nothing

    def note() -> Asked | None:
        with engine.begin() as connection:
            return _note(connection, user_id)

    return briefly(settings, note) if briefly(settings, look) else None


def _note(connection: Connection, user_id: str) -> Asked | None:
    viewer = lock_asker(connection, user_id, active=False)
    if viewer is None:
        return None
    # Another look may have been first: what is due is asked again, now that nobody else can answer it.
    due = view_due(connection, user_id, RECENT)
    if due.noted:
        note_viewed(connection, user_id)
        event = user_activity(
            user_id,
            viewer.first_wallet,
            activity="portfolio_viewed",
            activity_id=uuid4(),
            version=viewer.version,
            at=datetime.now(UTC),
        )
        insert_events(connection, [event])
    if due.priority is None:
        return None
    return ask_within(connection, user_id, source="login", priority=due.priority)
