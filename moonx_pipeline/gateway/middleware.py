"""Middleware of every request: an id, a limit on the body, security headers and one log line."""

from __future__ import annotations

import re
import time
from typing import Final
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# The page of the API's description starts by an inline script.
DOCS_POLICY: Final = PAGE_POLICY.replace("script-src 'self'", "script-src 'self' 'unsafe-inline'").replace(
    "style-src 'self'", "style-src 'self' 'unsafe-inline'"
)
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_GIVEN_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
QUIET: Final = ("/health", "/metrics", "/assets", "/api/v1/logos", "/socket.io")
"""Paths that are requested constantly and say nothing about users' actions."""

_log = structlog.get_logger("gateway")


class RequestFrame:
    """ASGI middleware around the whole app."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int) -> None:
        self._app = app
        self._most = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _GIVEN_ID.fullmatch(given) else uuid4().hex
        scope["request_id"] = request_id
        started, status = time.perf_counter(), 0

        async def framed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                sent = MutableHeaders(scope=message)
                sent["X-Request-Id"] = request_id
                for name, value in _HEADERS.items():
                    sent[name] = value
                sent["Content-Security-Policy"] = DOCS_POLICY if scope["path"] == "/docs" else PAGE_POLICY
            await send(message)

        try:
            await self._app(_as_get(scope), _Bounded(receive, self._most), framed)
        finally:
            if not scope["path"].startswith(QUIET):
                _log.info(
                    "request",
                    method=scope["method"],
                    path=scope["path"],
                    status=status,
                    ms=round((time.perf_counter() - started) * 1000, 1),
                    request_id=request_id,
                )


def _as_get(scope: Scope) -> Scope:
    """The request for the API's routes, which are declared for GET: of HEAD, the server leaves the body out."""
    if scope["method"] == "HEAD" and scope["path"].startswith("/api/"):
        return {**scope, "method": "GET"}
    return scope


class _Bounded:
    """Receives a body up to the allowed size, whatever length it claims."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive = receive
        self._left = most

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                raise HTTPException(413)
        return message
