"""The live connection's server: admits sockets, and sends each its events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from socketio.exceptions import ConnectionRefusedError as Refused
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from moonx_pipeline.events.stream import StreamedEvent, open_stream
from moonx_pipeline.gateway.answers import ApiError
from moonx_pipeline.gateway.auth import CLOCK_SKEW, Caller, InvalidToken, TokenVerifier
from moonx_pipeline.gateway.limits import RequestLimits
from moonx_pipeline.gateway.live.catch_up import CurrentPortfolio, current_portfolio
from moonx_pipeline.gateway.live.connections import BoundedServer
from moonx_pipeline.gateway.live.delivered import Delivered
from moonx_pipeline.gateway.live.feed import Feed
from moonx_pipeline.gateway.live.progress import Progress, ProgressSource
from moonx_pipeline.gateway.live.rooms import ADMIN, PORTFOLIO_UPDATE, Emission, emission_of, own_rooms, room_of
from moonx_pipeline.gateway.published_keys import KeysUnavailable
from moonx_pipeline.metrics.live import time_delivery
from moonx_pipeline.settings import Settings
from moonx_pipeline.views.people import event_for_people

_CATCHING_UP: Final = 4
"""The most sockets that catch up at the same time."""

_MOST_OF_USER: Final = 20
"""The most sockets of one user on one gateway: pages, and what they left behind for a moment."""

_LONGEST_PAUSE: Final = 10.0
_NOTHING: Final = -1
_log = structlog.get_logger("live")


@dataclass(slots=True)
class _Session:
    """An admitted socket.

    Attributes:
        user_id: Its user.
        rooms: The rooms it may be in.
        ending: The timer for its token's end.
        known_version: The portfolio version that the client says it has; ``None`` if it says nothing.
        sent_version: The newest portfolio version that it was sent.
    """

    user_id: str
    rooms: tuple[str, ...]
    ending: asyncio.TimerHandle
    known_version: int | None
    sent_version: int = _NOTHING


class LiveServer:
    """Socket.IO at ``/socket.io``, fed by the event stream. Each replica reads all events and serves its own sockets.

    Attributes:
        sio: The server; ``socketio.ASGIApp`` puts it in front of an ASGI app.
    """

    def __init__(self, engine: Engine, settings: Settings, verifier: TokenVerifier, limits: RequestLimits) -> None:
        """Reads nothing before ``start``."""
        self._engine = engine
        self._verifier = verifier
        self._limits = limits
        self._origins = frozenset(settings.gateway.cors_origins)
        # At lower levels the libraries log what clients send, tokens included.
        quiet = logging.getLogger("moonx.socketio")
        quiet.setLevel(logging.ERROR)
        self.sio = BoundedServer(logger=quiet, engineio_logger=quiet, cors_allowed_origins=self._is_allowed_origin)
        self.sio.on("connect", self._connect)
        self.sio.on("disconnect", self._disconnect)
        self.sio.on("join_room", self._join_room)
        self._sessions: dict[str, _Session] = {}
        self._delivered = Delivered()
        self._behind: asyncio.Queue[str] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._events = Feed("event stream", open_stream(engine, settings.kafka), self._deliver)
        self._progress = Feed("progress of syncs", ProgressSource(engine), self._tell_progress)

    @property
    def connections(self) -> int:
        """The number of admitted sockets."""
        return len(self._sessions)

    def health(self) -> tuple[bool, str | None]:
        """Whether events are sent live; if not, why."""
        events, progress = self._events.health(), self._progress.health()
        return progress if events[0] else events

    async def start(self) -> None:
        """Starts reading; nothing that happens after it returns is missed, or a catch-up follows."""
        await asyncio.gather(self._events.start(), self._progress.start())
        for _ in range(_CATCHING_UP):
            self._keep(self._catch_up())

    async def stop(self) -> None:
        """Stops reading. Clients get no notice: their connections break, and they reconnect."""
        for session in self._sessions.values():
            session.ending.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(self._events.stop(), self._progress.stop(), self.sio.shutdown())

    # Admission

    def _is_allowed_origin(self, origin: str | None, environ: dict[str, Any]) -> bool:
        own = (environ.get("HTTP_HOST"), environ.get("HTTP_X_FORWARDED_HOST"))
        return origin is not None and (origin in self._origins or urlsplit(origin).netloc in own)

    async def _connect(self, sid: str, environ: dict[str, Any], auth: Any) -> None:
        given = auth if isinstance(auth, dict) else {}
        try:
            caller = await self._caller(given.get("token"))
        except InvalidToken as problem:
            raise self._refused(environ, problem) from None
        if len(self._sids([room_of(caller.user_id)])) >= _MOST_OF_USER:
            message = f"You have {_MOST_OF_USER} live connections, the most there may be: close one."
            raise Refused(message, {"code": "too_many_connections"})
        if self.sio.manager.eio_sid_from_sid(sid, "/") not in self.sio.eio.sockets:
            raise Refused("The connection is gone.")  # its end was already handled
        loop, left = asyncio.get_running_loop(), caller.expires_at - datetime.now(UTC)
        # An expired token that the clock skew still admits lasts until the skew is over.
        left = left if left.total_seconds() > 0 else left + CLOCK_SKEW
        session = _Session(
            user_id=caller.user_id,
            rooms=own_rooms(caller.user_id, is_admin=caller.is_admin),
            ending=loop.call_later(max(0.0, left.total_seconds()), self._end_session, sid),
            known_version=_version(given.get("lastVersion")),
        )
        self._sessions[sid] = session
        for room in session.rooms:
            await self.sio.enter_room(sid, room)
        # It joins its rooms before the portfolio is read, so it misses no event between.
        if session.known_version is not None:
            self._behind.put_nowait(sid)

    async def _caller(self, token: Any) -> Caller:
        if not isinstance(token, str) or not token:
            raise InvalidToken("Send a token: auth: {token}.")
        try:
            return await asyncio.to_thread(self._verifier.verify, token)
        except KeysUnavailable as problem:
            raise Refused(str(problem), {"code": "unavailable"}) from None
        except ValueError:
            raise InvalidToken("The token is not accepted: it is no text.") from None

    def _refused(self, environ: dict[str, Any], problem: InvalidToken) -> Refused:
        """The refusal of a token, counted as the API counts it."""
        client = environ["asgi.scope"].get("client")
        try:
            if problem.code != "token_expired":
                self._limits.count_refused(client[0] if client else "unknown")
        except ApiError as too_many:
            return Refused(too_many.message, {"code": too_many.code})
        return Refused(str(problem), {"code": problem.code})

    async def _disconnect(self, sid: str, _reason: str) -> None:
        session = self._sessions.pop(sid, None)
        if session is not None:
            session.ending.cancel()

    def _end_session(self, sid: str) -> None:
        async def end() -> None:
            eio_sid = self.sio.manager.eio_sid_from_sid(sid, "/")
            message = "The session has ended: sign in again."
            await self.sio.emit("session_ended", {"code": "token_expired", "message": message}, to=sid)
            await self.sio.disconnect(sid)
            if eio_sid is not None:
                self.sio.end_unless_joined(eio_sid)

        self._keep(end())

    async def _join_room(self, sid: str, *arguments: Any) -> dict[str, Any]:
        wanted = arguments[0] if arguments else None
        room = wanted.get("room") if isinstance(wanted, dict) else None
        session = self._sessions.get(sid)
        if session is None or not isinstance(room, str) or room not in session.rooms:
            message = "This room is not yours: there are your own and 'system', which you are in already."
            return {"ok": False, "error": {"code": "forbidden", "message": message}}
        await self.sio.enter_room(sid, room)
        return {"ok": True}

    # Events

    async def _deliver(self, events: list[StreamedEvent], skipped: bool) -> None:
        if skipped:
            # Sockets catch up on what was missed; versions may have begun anew.
            self._delivered = Delivered()
            for sid, session in self._sessions.items():
                session.sent_version = _NOTHING
                self._behind.put_nowait(sid)
        for event in events:
            try:
                await self._deliver_one(event)
            except Exception:
                # One failure must not stop the later events: they are not read again.
                _log.exception("event not delivered", topic=event.topic)

    async def _deliver_one(self, event: StreamedEvent) -> None:
        emission = emission_of(event)
        if emission is not None and self._delivered.is_news(emission):
            await self._emit(emission)
            time_delivery(event.value.get("timestamp"))

    async def _emit(self, emission: Emission) -> None:
        newer: list[str] = []
        if emission.name == PORTFOLIO_UPDATE:
            for sid in self._sids(emission.rooms):
                session = self._sessions[sid]
                if session.sent_version >= emission.version:
                    newer.append(sid)  # a catch-up sent this version before the event came
                session.sent_version = max(session.sent_version, emission.version)
        rooms, done = emission.rooms, newer
        if emission.operators is not None:
            await self.sio.emit(emission.name, emission.operators, room=ADMIN)
            rooms, done = tuple(room for room in rooms if room != ADMIN), self._sids([ADMIN])
        if rooms:
            await self.sio.emit(emission.name, emission.data, room=list(rooms), skip_sid=done)

    def _sids(self, rooms: Iterable[str]) -> list[str]:
        members = self.sio.manager.get_participants("/", list(rooms))
        return [sid for sid, _ in members if sid in self._sessions]

    async def _tell_progress(self, found: list[Progress], _skipped: bool) -> None:
        for progress in found:
            told = event_for_people("sync_progress", progress.data())
            await self.sio.emit("sync_progress", told, room=room_of(progress.user_id))

    # Catching up

    async def _catch_up(self) -> None:
        while True:
            sid = await self._behind.get()
            current = await self._read_current(sid)
            session = self._sessions.get(sid)
            if current is not None and session is not None and session.sent_version < current.version:
                session.sent_version = current.version
                await self.sio.emit(PORTFOLIO_UPDATE, current.data, to=sid)

    async def _read_current(self, sid: str) -> CurrentPortfolio | None:
        """Reads what a socket may have missed, however long the database is away; ``None`` once the socket is gone."""
        pause = 0.1
        while (session := self._sessions.get(sid)) is not None:
            try:
                return await asyncio.to_thread(current_portfolio, self._engine, session.user_id, session.known_version)
            except DBAPIError:
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
        return None

    def _keep(self, work: Any) -> None:
        """Runs a background task and keeps a reference: without one it may be collected."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        with suppress(asyncio.CancelledError):
            if (problem := task.exception()) is not None:
                _log.error("live task failed", exc_info=problem)


def _version(given: Any) -> int | None:
    """The version that a client says it has; anything but a number counts as a version that does not exist."""
    if given is None:
        return None
    return given if isinstance(given, int) and not isinstance(given, bool) else _NOTHING
