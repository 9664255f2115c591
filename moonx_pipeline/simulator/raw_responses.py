"""Answers that HTTP servers refuse to send, written to the connection directly."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

_CONNECTION: Final = "connection"


class OpenProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """The server's HTTP protocol, with the connection accessible to the application."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self.app_state: dict[str, Any] = {**self.app_state, _CONNECTION: transport}


class RawResponse(Response):
    """An answer with an unknown status, such as 600 or 999; it closes the connection."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.body, answer.status_code, dict(answer.headers))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection: asyncio.Transport = scope["state"][_CONNECTION]
        headers = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        head = f"HTTP/1.1 {self.status_code} Unknown\r\n{headers}Connection: close\r\n\r\n"
        connection.write(head.encode() + bytes(self.body))
        connection.close()
        while (await receive())["type"] != "http.disconnect":  # until the server knows that nothing is left to send
            pass


class EarlyHints(Response):
    """A good answer after an informational one (103) on the same connection."""

    def __init__(self, good: Response) -> None:
        super().__init__(good.body, good.status_code, dict(good.headers))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection: asyncio.Transport = scope["state"][_CONNECTION]
        connection.write(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; as=style\r\n\r\n")
        await super().__call__(scope, receive, send)


class SlowHeaders(Response):
    """An answer whose headers never end: a byte now and then, for as long as the client waits."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection: asyncio.Transport = scope["state"][_CONNECTION]
        connection.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not connection.is_closing():
            connection.write(b"x")
            await asyncio.sleep(self._seconds)
