"""Engine.IO's and Socket.IO's servers with bounds on what a client costs.

The libraries by themselves bound no queue, keep a connection that nobody reads, and let one stay that never
authenticates.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from functools import partial
from typing import Any, Final

import engineio
import engineio.json
import msgspec
import socketio
import structlog
from engineio.async_drivers import asgi
from socketio.packet import Packet

MOST_WAITING: Final = 64
"""The most packets that may wait for a client; the next one drops it, and it reconnects for the current state."""

LARGEST_MESSAGE: Final = 64 * 1024
"""The largest message of a client, in bytes. Clients send next to nothing."""

_JOIN_SECONDS: Final = 20.0
"""A connection that is in no room after this time is ended."""

_CLOSE_SECONDS: Final = 5.0
"""How long a close may take to reach the client before its connection is cut."""

_log = structlog.get_logger("live")


class ExactJson:
    """JSON in the interface of the Socket.IO library; decimals are numbers with all their digits."""

    _encode = staticmethod(msgspec.json.Encoder(decimal_format="number").encode)

    @classmethod
    def dumps(cls, value: Any, **_options: Any) -> str:
        """The shortest text of a value."""
        return cls._encode(value).decode()

    loads = staticmethod(engineio.json.loads)


class TextPacket(Packet):  # type: ignore[misc]
    """A JSON packet; none has binary parts, so the search for them is left out."""

    uses_binary_events = False
    json = ExactJson


class _WebSocket(asgi.WebSocket):  # type: ignore[misc]
    async def __call__(self, environ: dict[str, Any]) -> Any:
        # The handler is a method of the Engine.IO socket whose transport this connection becomes.
        self.handler.__self__.cut = partial(_cut, environ["asgi.send"])
        return await super().__call__(environ)


def _cut(send: Any) -> None:
    """Drops a connection with everything queued in it. ASGI can't do that, so uvicorn's transport does."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is not None:
        transport.abort()


class BoundedEngine(engineio.AsyncServer):  # type: ignore[misc]
    """Engine.IO's server, which drops a client that does not read."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._async: dict[str, Any] = {**self._async, "websocket": _WebSocket}

    async def send_packet(self, sid: str, pkt: Any) -> None:
        """Queues a packet for a client, or drops the client if its queue is full."""
        socket = self.sockets.get(sid)
        if socket is None or socket.queue.qsize() < MOST_WAITING:
            await super().send_packet(sid, pkt)
        else:
            await self._drop(socket)

    async def _drop(self, socket: Any) -> None:
        if socket.closing or socket.closed:
            return
        _log.info("slow client dropped", waiting=socket.queue.qsize())
        await socket.close(wait=False, abort=True, reason=self.reason.TRANSPORT_ERROR)
        self.sockets.pop(socket.sid, None)
        while not socket.queue.empty():
            socket.queue.get_nowait()
        socket.queue.put_nowait(None)  # ends the task that waits for packets
        self._cut(socket)

    async def _trigger_event(self, event: str, *args: Any, **options: Any) -> Any:
        if event == "disconnect" and (socket := self.sockets.get(args[0])) is not None:
            # A close would wait for ever for a client that stopped reading.
            asyncio.get_running_loop().call_later(_CLOSE_SECONDS, self._cut, socket)
        return await super()._trigger_event(event, *args, **options)

    @staticmethod
    def _cut(socket: Any) -> None:
        cut = getattr(socket, "cut", None)  # long polling has no connection to cut
        if cut is not None:
            cut()


class RoomKeeper(socketio.AsyncManager):  # type: ignore[misc]
    """Also keeps each socket's rooms: the library searches all rooms when one socket leaves."""

    def __init__(self) -> None:
        super().__init__()
        self._rooms_of: dict[str, set[str | None]] = defaultdict(set)

    def basic_enter_room(self, sid: str, namespace: str, room: str | None, eio_sid: str | None = None) -> None:
        super().basic_enter_room(sid, namespace, room, eio_sid=eio_sid)
        self._rooms_of[sid].add(room)

    def basic_disconnect(self, sid: str, namespace: str, **_options: Any) -> None:
        for room in self._rooms_of.pop(sid, ()):
            self.basic_leave_room(sid, namespace, room)
        self.callbacks.pop(sid, None)
        for pending in (self.pending_connect, self.pending_disconnect):
            if sid in pending.get(namespace, ()):
                pending[namespace].remove(sid)


class BoundedServer(socketio.AsyncServer):  # type: ignore[misc]
    """Socket.IO's server, which ends connections that are in no room."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            async_mode="asgi",
            async_handlers=False,  # a client's messages are handled one after the other
            client_manager=RoomKeeper(),
            serializer=TextPacket,
            max_http_buffer_size=LARGEST_MESSAGE,
            cors_credentials=False,
            **options,
        )
        self._endings: set[asyncio.Task[None]] = set()

    def _engineio_server_class(self) -> type[BoundedEngine]:
        return BoundedEngine

    async def _handle_eio_connect(self, eio_sid: str, environ: dict[str, Any]) -> None:
        await super()._handle_eio_connect(eio_sid, environ)
        self.end_unless_joined(eio_sid)

    def end_unless_joined(self, eio_sid: str) -> None:
        """Ends a connection after a while, unless it has been admitted by then."""
        asyncio.get_running_loop().call_later(_JOIN_SECONDS, self._end_unless_joined, eio_sid)

    def _end_unless_joined(self, eio_sid: str) -> None:
        sid = self.manager.sid_from_eio_sid(eio_sid, "/")
        socket = self.eio.sockets.get(eio_sid)
        if socket is not None and (sid is None or not self.manager.is_connected(sid, "/")):
            ending = asyncio.ensure_future(socket.close(wait=False, reason=self.reason.SERVER_DISCONNECT))
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)
