"""Logos: only of known tokens, only from named hosts, only pictures of pixels."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from urllib.parse import urlsplit

import pytest
from sqlalchemy import Engine

from moonx_pipeline.gateway.logos import NO_LOGO, Logo, Logos
from moonx_pipeline.gateway.pictures import picture_of
from moonx_pipeline_tests.support.raw_server import answering


def png(width: int, height: int) -> bytes:
    """As much of a picture as tells its size."""
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + b"pixels"


PNG = png(64, 64)
JPEG = b"\xff\xd8\xff\xe0\x00\x04JF\xff\xff\xc0\x00\x11\x08"
"""A picture up to its size, with a segment and filling before its frame."""
_FILES = {
    "/good.png": (200, "text/html", PNG),
    "/script.svg": (200, "image/png", b"<svg onload='alert(1)'/>"),
    "/large.png": (200, "image/png", PNG + b"x" * 300_000),
    "/gone.png": (404, "image/png", PNG),
    "/wide.png": (200, "image/png", png(30_000, 30_000)),
    "/headless.png": (200, "image/png", PNG[:12]),
    "/moved.png": (302, "image/png", PNG),
}


class LogoHost:
    """Somebody who has logos."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers = Event()
        self.answers.set()
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.asked.append(self.path)
                host.answers.wait(30)
                status, media_type, content = _FILES[self.path.partition("?")[0]]
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
    running.answers.set()
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


def get(logos: Logos, chain_id: int, *tokens: str) -> list[Logo]:
    """What is answered to all who ask at once."""

    async def ask() -> list[Logo]:
        return list(await asyncio.gather(*(logos.get(chain_id, token) for token in tokens)))

    return asyncio.run(ask())


def test_a_picture_is_fetched_once_and_named_for_what_it_is(engine: Engine, host: LogoHost) -> None:
    logos, token = Logos(engine, (host.name,)), token_with_logo(engine, f"http://{host.name}/good.png")

    assert get(logos, 1, token) == get(logos, 1, token) == [("image/png", PNG)]
    assert host.asked == ["/good.png"]


def test_many_who_want_one_logo_at_once_cause_one_fetch(engine: Engine, host: LogoHost) -> None:
    logos, token = Logos(engine, (host.name,)), token_with_logo(engine, f"http://{host.name}/good.png")

    assert get(logos, 1, *[token] * 50) == [("image/png", PNG)] * 50
    assert host.asked == ["/good.png"]


def test_a_host_that_hangs_ends_in_time_and_fills_its_own_places_only(engine: Engine, host: LogoHost) -> None:
    host.answers.clear()
    logos = Logos(engine, (host.name,))
    slow = [token_with_logo(engine, f"http://{host.name}/good.png?{number}") for number in range(16)]
    other = token_with_logo(engine, f"http://{host.name}/good.png")

    async def ask() -> tuple[float, float]:
        began = time.monotonic()
        hanging = [asyncio.ensure_future(logos.get(1, token)) for token in slow]
        await asyncio.sleep(0)
        assert await logos.get(1, other) is NO_LOGO
        at_once = time.monotonic() - began
        assert await asyncio.gather(*hanging) == [NO_LOGO] * 16
        return at_once, time.monotonic() - began

    at_once, whole = asyncio.run(ask())
    assert (at_once < 0.5, 2.5 < whole < 5) == (True, True)
    host.answers.set()
    assert get(logos, 1, other) == [("image/png", PNG)]


def test_a_host_that_sends_byte_by_byte_is_given_up_in_time(engine: Engine) -> None:
    ends = Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + PNG)
        while not ends.wait(0.1):
            connection.sendall(b"x")

    with answering(drip) as url:
        token, began = token_with_logo(engine, url), time.monotonic()
        assert get(Logos(engine, (urlsplit(url).netloc,)), 1, token) == [NO_LOGO]
        assert time.monotonic() - began < 5
        ends.set()


@pytest.mark.parametrize("name", [name for name in _FILES if name != "/good.png"])
def test_what_is_no_picture_of_pixels_is_not_passed_on(engine: Engine, host: LogoHost, name: str) -> None:
    token = token_with_logo(engine, f"http://{host.name}{name}")

    assert get(Logos(engine, (host.name,)), 1, token) == [NO_LOGO]
    assert host.asked == [name]


@pytest.mark.parametrize("url", ["http://{host}/good.png", "file:///etc/passwd", "http://user@{host}/good.png", None])
def test_nobody_is_asked_who_was_not_named(engine: Engine, host: LogoHost, url: str | None) -> None:
    token = token_with_logo(engine, url.format(host=host.name) if url else None)

    assert get(Logos(engine, ("logos.example",)), 1, token) == [NO_LOGO]
    assert get(Logos(engine, (host.name,)), 137, token) == [NO_LOGO]
    assert host.asked == []


@pytest.mark.parametrize(
    ("content", "picture"),
    [
        (png(300, 200), ("image/png", 300, 200)),
        (b"GIF89a" + struct.pack("<HH", 300, 200), ("image/gif", 300, 200)),
        (JPEG + struct.pack(">HH", 200, 300), ("image/jpeg", 300, 200)),
        (b"RIFF....WEBPVP8 ...." + b"...\x9d\x01\x2a"[:6] + struct.pack("<HH", 300, 200), ("image/webp", 300, 200)),
        (b"RIFF....WEBPVP8L....\x2f" + struct.pack("<I", 299 | 199 << 14), ("image/webp", 300, 200)),
        (b"RIFF....WEBPVP8X........" + b"\x2b\x01\x00\xc7\x00\x00", ("image/webp", 300, 200)),
        (b"\xff\xd8\xff\xe0\x00", None),
        (b"\xff\xd8\xff\xd9\x00\x02..", None),
        (b"RIFF....WEBPALPH", None),
        (b"<svg/>", None),
        (b"", None),
    ],
)  # fmt: skip
def test_the_size_of_a_picture_is_read_from_its_first_bytes(
    content: bytes, picture: tuple[str, int, int] | None
) -> None:
    assert picture_of(content) == picture
