"""Logos: only of known tokens, only from named hosts, only pictures of pixels."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from sqlalchemy import Engine

from moonx_pipeline.gateway.logos import NO_LOGO, Logos

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"
_FILES = {
    "/good.png": (200, "text/html", PNG),
    "/script.svg": (200, "image/png", b"<svg onload='alert(1)'/>"),
    "/large.png": (200, "image/png", PNG + b"x" * 300_000),
    "/gone.png": (404, "image/png", PNG),
    "/moved.png": (302, "image/png", PNG),
}


class LogoHost:
    """Somebody who has logos."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.asked.append(self.path)
                status, media_type, content = _FILES[self.path]
                self.send_response(status)
                self.send_header("Content-Type", media_type)
                self.send_header("Location", "/good.png")
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.name = f"127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def host() -> Iterator[LogoHost]:
    running = LogoHost()
    yield running
    running.server.shutdown()
    running.server.server_close()


def token_with_logo(engine: Engine, url: str | None) -> str:
    token = f"0x{abs(hash(url)):040x}"[:42]
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO token_metadata (chain_id, token_address, logo_url, source) VALUES (1, %s, %s, 'tests')",
            (token, url),
        )
    return token


def test_a_picture_is_fetched_once_and_named_for_what_it_is(engine: Engine, host: LogoHost) -> None:
    logos, token = Logos(engine, (host.name,)), token_with_logo(engine, f"http://{host.name}/good.png")

    assert logos.get(1, token) == logos.get(1, token) == ("image/png", PNG)
    assert host.asked == ["/good.png"]


@pytest.mark.parametrize("name", [name for name in _FILES if name != "/good.png"])
def test_what_is_no_picture_of_pixels_is_not_passed_on(engine: Engine, host: LogoHost, name: str) -> None:
    token = token_with_logo(engine, f"http://{host.name}{name}")

    assert Logos(engine, (host.name,)).get(1, token) is NO_LOGO
    assert host.asked == [name]


@pytest.mark.parametrize("url", ["http://{host}/good.png", "file:///etc/passwd", "http://user@{host}/good.png", None])
def test_nobody_is_asked_who_was_not_named(engine: Engine, host: LogoHost, url: str | None) -> None:
    token = token_with_logo(engine, url.format(host=host.name) if url else None)

    assert Logos(engine, ("logos.example",)).get(1, token) is NO_LOGO
    assert Logos(engine, (host.name,)).get(137, token) is NO_LOGO
    assert host.asked == []
