"""Who keeps what 'moonx up' prints keeps no administrator's session."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jwt
import pytest
from sqlalchemy import Engine

from moonx_pipeline.cli.up_announcement import announce
from moonx_pipeline.settings import Settings
from moonx_pipeline.storage.protection.sign_in_codes import redeem_code


class _Page(BaseHTTPRequestHandler):
    """A page that answers, whatever it is asked for."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """Of a machine whose pages are up."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        port = str(server.server_port)
        yield Settings.from_environment({"MOONX_HOME": str(tmp_path), "GATEWAY_PORT": port, "WEBSERVER_PORT": port})
        server.shutdown()
        thread.join()


def sessions(engine: Engine, said: str) -> dict[str, tuple[str | None, int]]:
    """By the path of each link: the role and the seconds of the session that it opens."""
    found = {}
    for path, code in re.findall(r"http://127\.0\.0\.1:\d+/(\w*)#code=(\S+)", said):
        with engine.begin() as connection:
            token = redeem_code(connection, code)
        assert token is not None
        claims = jwt.decode(token, options={"verify_signature": False})
        found[path] = (claims.get("role"), claims["exp"] - claims["iat"])
    return found


def test_an_operators_link_is_printed_on_a_terminal_and_holds_an_hour(
    settings: Settings, engine: Engine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    announce(settings, engine)

    assert sessions(engine, capsys.readouterr().out) == {"": (None, 12 * 3600), "admin": ("admin", 3600)}


def test_no_operators_link_is_printed_where_output_is_kept(
    settings: Settings, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    announce(settings, engine)

    said = capsys.readouterr().out
    assert sessions(engine, said) == {"": (None, 12 * 3600)}
    assert f"http://127.0.0.1:{settings.gateway.port}/admin\n" in said
