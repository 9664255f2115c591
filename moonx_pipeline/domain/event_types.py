"""The event types and their topics, in one table; a new type needs a row here and its JSON Schema."""

from __future__ import annotations

from typing import Final, NamedTuple


class Topic(NamedTuple):
    """A stream of events.

    Attributes:
        name: The name in events; settings may give the broker's topic another.
        setting: The attribute of ``KafkaSettings`` with the broker's topic name.
    """

    name: str
    setting: str


class EventType(NamedTuple):
    """A type of event.

    Attributes:
        name: Such as ``sync.completed``; its schema is ``events/schemas/<name>.json``.
        topic: The stream it belongs to.
        socket_name: The Socket.IO event that sockets receive; ``None`` if they receive none.
    """

    name: str
    topic: str
    socket_name: str | None


PORTFOLIO_UPDATES: Final = Topic("portfolio.updates", "topic_portfolio_updates")
SYNC_EVENTS: Final = Topic("sync.events", "topic_sync_events")
SYSTEM_ALERTS: Final = Topic("system.alerts", "topic_system_alerts")
USER_ACTIVITIES: Final = Topic("user.activities", "topic_user_activities")
TOPICS: Final = (PORTFOLIO_UPDATES, SYNC_EVENTS, SYSTEM_ALERTS, USER_ACTIVITIES)
TOPIC_NAMES: Final = tuple(topic.name for topic in TOPICS)

SYNC_STARTED: Final = EventType("sync.started", SYNC_EVENTS.name, "sync_started")
SYNC_COMPLETED: Final = EventType("sync.completed", SYNC_EVENTS.name, "sync_completed")
SYNC_FAILED: Final = EventType("sync.failed", SYNC_EVENTS.name, "sync_failed")
PORTFOLIO_UPDATED: Final = EventType("portfolio.updated", PORTFOLIO_UPDATES.name, "portfolio_update")
SYSTEM_ALERT: Final = EventType("system.alert", SYSTEM_ALERTS.name, "system_alert")
USER_ACTIVITY: Final = EventType("user.activity", USER_ACTIVITIES.name, None)
EVENT_TYPES: Final = (SYNC_STARTED, SYNC_COMPLETED, SYNC_FAILED, PORTFOLIO_UPDATED, SYSTEM_ALERT, USER_ACTIVITY)
