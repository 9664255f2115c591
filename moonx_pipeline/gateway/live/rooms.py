"""Who is told what: the rules by which no data of one user ever reaches another."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from moonx_pipeline.domain.event_types import EVENT_TYPES, PORTFOLIO_UPDATED, SYSTEM_ALERT
from moonx_pipeline.events.stream import StreamedEvent

SYSTEM: Final = "system"
ADMIN: Final = "admin"

PORTFOLIO_UPDATE: Final = str(PORTFOLIO_UPDATED.socket_name)
_SOCKET_NAMES: Final = {of.name: of.socket_name for of in EVENT_TYPES if of.socket_name is not None}
"""Events that are emitted, by their types; all others are not."""


class Emission(NamedTuple):
    """An event as sockets are told it.

    Attributes:
        name: Of the Socket.IO event.
        event_id: Of the event.
        rooms: Whose sockets.
        user_id: The user it is of; ``None`` for an alert.
        version: Of his portfolio.
        data: What they are told.
    """

    name: str
    event_id: str
    rooms: tuple[str, ...]
    user_id: str | None
    version: int
    data: dict[str, Any]


class _Envelope(msgspec.Struct, rename="camel"):
    event_id: str
    event_type: str
    user_id: str | None
    version: int
    data: dict[str, Any]


def room_of(user_id: str) -> str:
    """The room of a user's sockets."""
    return f"user:{user_id}"


def own_rooms(user_id: str, *, is_admin: bool) -> tuple[str, ...]:
    """The rooms that a socket is in by itself, and the only ones that it may join."""
    return (room_of(user_id), SYSTEM, *((ADMIN,) if is_admin else ()))


def emission_of(event: StreamedEvent) -> Emission | None:
    """Who is told an event, and how; ``None`` for one that is not emitted or not of the published form."""
    try:
        envelope = msgspec.convert(event.value, _Envelope)
        name = _SOCKET_NAMES[envelope.event_type]
        rooms = _rooms(event.key, envelope)
    except (msgspec.ValidationError, KeyError):
        return None
    data = {**envelope.data, "version": envelope.version, "eventId": envelope.event_id}
    return Emission(name, envelope.event_id, rooms, envelope.user_id, envelope.version, data)


def _rooms(key: str, envelope: _Envelope) -> tuple[str, ...]:
    if envelope.event_type != SYSTEM_ALERT.name:
        if envelope.user_id != key:
            raise KeyError(key)  # it says two things about whose it is
        return (room_of(key),)
    part, _, user_id = str(envelope.data["service"]).partition(":")
    if part != "user":
        return (SYSTEM,)
    # An alert about "user" without a name may name several in its text.
    return (ADMIN, room_of(user_id)) if user_id else (ADMIN,)
