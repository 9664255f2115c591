"""Bounds on what a connection costs before the app sees its request.

uvicorn by itself waits for ever for the end of headers or of a body, takes headers of any size, and any number of
connections.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

HEAD_SECONDS: Final = 10.0
"""From the first byte of a request, or the beginning of the connection, to the end of its headers."""

BODY_SECONDS: Final = 30.0
LARGEST_HEAD: Final = 32 * 1024  # bytes
MOST_CONNECTIONS: Final = 20_000
"""Sockets included; each costs some 40 kB."""

_log = structlog.get_logger("gateway")


class _TooLarge(Exception):
    """Ends the parsing of a request whose headers are too large."""


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's protocol of a connection, with deadlines for what the client sends and a bound on its headers."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None
        self._is_head = True
        self._head_size = 0
        self._is_too_large = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuses one connection too many."""
        if len(self.connections) >= MOST_CONNECTIONS:
            _log.warning("connection refused", reason="too many connections", connections=len(self.connections))
            transport.abort()
        super().connection_made(transport)
        self._give(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends its deadline."""
        self._settle()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Counts what comes before the end of the headers."""
        if self._is_head:
            self._head_size += len(data)
            if self._timer is None:
                self._give(HEAD_SECONDS)
        super().data_received(data)
        if self._is_head and self._head_size > LARGEST_HEAD and not self.transport.is_closing():
            self._refuse(431)

    def on_message_begin(self) -> None:
        """Begins the deadline of a request that came together with the one before."""
        super().on_message_begin()
        if self._timer is None:
            self._give(HEAD_SECONDS)

    def on_headers_complete(self) -> None:
        """Begins the deadline of the body."""
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > LARGEST_HEAD:
            self._is_too_large = True
            raise _TooLarge
        self._is_head, self._head_size = False, 0
        self._give(BODY_SECONDS)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """All of the request is there."""
        self._is_head = True
        self._settle()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hands the connection over: what follows is bounded by Engine.IO."""
        self._settle()
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """Answers what could not be parsed."""
        self._settle()
        self._refuse(431 if self._is_too_large else 400)

    def _give(self, seconds: float) -> None:
        self._settle()
        self._timer = self.loop.call_later(seconds, self._end)

    def _settle(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        is_answering = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if is_answering or (self._is_head and not self._head_size):
            self.transport.close()  # nothing can be said within an answer, nor to who asked for nothing
        else:
            self._refuse(408)

    def _refuse(self, status: int) -> None:
        """A short answer before the connection is closed; the app learns that the client is gone."""
        self.transport.write(STATUS_LINE[status] + b"content-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()
