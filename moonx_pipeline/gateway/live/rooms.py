"""Decides which sockets an event goes to, so that no user's data ever reaches another user."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from moonx_pipeline.domain.event_types import EVENT_TYPES, PORTFOLIO_UPDATED, SYSTEM_ALERT
from moonx_pipeline.events.stream import StreamedEvent
from moonx_pipeline.views.people import event_for_people

SYSTEM: Final = "system"
ADMIN: Final = "admin"

PORTFOLIO_UPDATE: Final = str(PORTFOLIO_UPDATED.socket_name)
_SOCKET_NAMES: Final = {of.name: of.socket_name for of in EVENT_TYPES if of.socket_name is not None}
"""The Socket.IO names of the event types that are emitted; other types are not."""


class Emission(NamedTuple):
    """An event in the form that sockets receive.

    Attributes:
        name: Name of the Socket.IO event.
        event_id: The event's id.
        rooms: The rooms that receive it.
        user_id: The event's user; ``None`` for an alert.
        version: The version of the user's portfolio.
        data: The message for people.
        operators: The message for the room of administrators, where it is another one.
    """

    name: str
    event_id: str
    rooms: tuple[str, ...]
    user_id: str | None
    version: int
    data: dict[str, Any]
    operators: dict[str, Any] | None = None


class _Envelope(msgspec.Struct, rename="camel"):
    event_id: str
    event_type: str
    user_id: str | None
    version: int
    data: dict[str, Any]


def room_of(user_id: str) -> str:
    """The room for a user's sockets."""
    return f"user:{user_id}"


def own_rooms(user_id: str, *, is_admin: bool) -> tuple[str, ...]:
    """The rooms that a socket is in from the start, and the only ones that it may join."""
    return (room_of(user_id), SYSTEM, *((ADMIN,) if is_admin else ()))


def emission_of(event: StreamedEvent) -> Emission | None:
    """The emission of an event; ``None`` if its type is not emitted or its form is not the published one."""
    try:
        envelope = msgspec.convert(event.value, _Envelope)
        name = _SOCKET_NAMES[envelope.event_type]
        rooms = _rooms(event.key, envelope)
        told = event_for_people(name, envelope.data)
    except (msgspec.ValidationError, KeyError, TypeError):
        return None
    facts = {"version": envelope.version, "eventId": envelope.event_id}
    operators = {**envelope.data, **facts} if envelope.event_type == SYSTEM_ALERT.name else None
    return Emission(name, envelope.event_id, rooms, envelope.user_id, envelope.version, {**told, **facts}, operators)


def _rooms(key: str, envelope: _Envelope) -> tuple[str, ...]:
    if envelope.event_type != SYSTEM_ALERT.name:
        if envelope.user_id != key:
            raise KeyError(key)  # key and content name different users
        return (room_of(key),)
    part, _, user_id = str(envelope.data["service"]).partition(":")
    if part != "user":
        return (ADMIN, SYSTEM)
    # An alert about "user" without an id may name several users in its text.
    return (ADMIN, room_of(user_id)) if user_id else (ADMIN,)
