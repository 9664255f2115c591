"""The built page in a state that a fixture describes, with no server at all."""

from __future__ import annotations

import base64
import json
import mimetypes
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Page, Route, WebSocketRoute

from moonx_pipeline.gateway.middleware import PAGE_POLICY
from moonx_pipeline.gateway.page import STATIC
from moonx_pipeline.simulator.server import free_port
from moonx_pipeline_tests.fixtures.dagster import ROOT
from moonx_pipeline_tests.page.visits import Visits

FIXTURES: Final = ROOT / "web" / "fixtures"
NAMES: Final = sorted(file.stem for file in FIXTURES.glob("*.json"))
_HANDSHAKE: Final = '0{"sid":"state","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":65536}'
_PAGES: Final = ("/", "/admin")


class State:
    """A fixture, and the answers that it gives."""

    def __init__(self, name: str) -> None:
        self._fixture = _read(name)
        self._replies = self._fixture["replies"]
        if self._fixture["like"] is not None:
            self._replies = {**_read(self._fixture["like"])["replies"], **self._replies}
        # Where nobody listens: what is not answered from the fixture is refused by the machine itself.
        self._host = f"127.0.0.1:{free_port()}"

    def open(self, visits: Visits, context: BrowserContext, path: str = "/") -> Page:
        """The page in this state, at the time of the fixture."""
        page = visits.watched_page(context, self._host)
        page.clock.install(time=self._fixture["now"])
        page.add_init_script(self._browser_before())
        page.route(f"http://{self._host}/**", self._answer)
        if self._fixture["socket"] != "refused":
            page.route_web_socket(lambda url: urlsplit(url).path == "/socket.io/", self._speak)
        page.goto(f"http://{self._host}{path}")
        return page

    def _browser_before(self) -> str:
        """What the browser has of earlier: the session, and the portfolio that was kept."""
        session, kept = self._fixture["session"], self._fixture["kept"]
        token = json.dumps(_token(session, self._fixture["now"])) if session else "null"
        return f"""
            const [token, kept] = [{token}, {json.dumps(kept)}];
            if (token) sessionStorage.setItem("moonx.token", token);
            if (kept) kept.receivedAt = Date.parse(kept.receivedAt);
            if (kept) localStorage.setItem("moonx.portfolio", JSON.stringify(kept));
        """

    def _answer(self, route: Route) -> None:
        url = urlsplit(route.request.url)
        if not url.path.startswith(("/api/", "/health/")):
            _answer_with_file(route, url.path)
            return
        request = f"{route.request.method} {url.path}"
        reply = self._replies.get(f"{request}?{url.query}") or self._replies.get(request) or self._replies.get("*")
        if reply == "unreachable":
            route.abort()
        elif reply is None:
            route.fulfill(status=404)
        elif reply != "silent":
            body = reply["body"]
            route.fulfill(
                status=reply["status"],
                headers={"Content-Type": "application/json", **reply.get("headers", {})},
                body=body if isinstance(body, str) else json.dumps(body),
            )

    def _speak(self, socket: WebSocketRoute) -> None:
        """Just enough of Engine.IO 4 and Socket.IO 5 to tell the fixture's events."""

        def hear(message: str | bytes) -> None:
            if not str(message).startswith("40"):
                return
            socket.send('40{"sid":"state"}')
            for event in self._fixture["events"]:
                socket.send(f"42{json.dumps([event['name'], event['data']])}")
            if self._fixture["socket"] == "lost":
                socket.close()

        socket.on_message(hear)
        socket.send(_HANDSHAKE)


def _read(name: str) -> dict[str, Any]:
    fixture: dict[str, Any] = json.loads((FIXTURES / f"{name}.json").read_text())
    return fixture


def _answer_with_file(route: Route, path: str) -> None:
    file = STATIC / ("index.html" if path in _PAGES else path.removeprefix("/"))
    if not file.is_file():
        route.fulfill(status=404)
        return
    media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    route.fulfill(
        headers={"Content-Type": media_type, "Content-Security-Policy": PAGE_POLICY}, body=Path(file).read_bytes()
    )


def _token(session: dict[str, Any], now: str) -> str:
    """Looks like a token; nobody checks it here."""
    ends = datetime.fromisoformat(now) + timedelta(hours=1)
    claims = {"sub": session["userId"], "exp": int(ends.timestamp())}
    if session["isAdmin"]:
        claims["role"] = "admin"
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.e30"
