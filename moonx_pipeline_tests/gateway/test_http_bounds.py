"""What a connection may cost before its request is whole."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn

from moonx_pipeline.gateway import http_bounds
from moonx_pipeline.gateway.http_bounds import BoundedHttp
from moonx_pipeline_tests.fixtures.dagster import eventually
from moonx_pipeline_tests.fixtures.gateway import GatewayProcess, token_of


async def whole_body(scope, receive, send) -> None:
    """Answers how long the body is."""
    if scope["type"] != "http":
        return
    size = 0
    while (message := await receive())["type"] == "http.request":
        size += len(message["body"])
        if not message["more_body"]:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": str(size).encode()})
            return


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Where a server answers that gives a second for headers and two for a body."""
    monkeypatch.setattr(http_bounds, "HEAD_SECONDS", 1.0)
    monkeypatch.setattr(http_bounds, "BODY_SECONDS", 2.0)
    server = uvicorn.Server(uvicorn.Config(whole_body, http=BoundedHttp, log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join()


@contextmanager
def connection(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=15) as opened:
        yield opened


def answer(opened: socket.socket) -> bytes:
    """All that comes until the server closes."""
    received = b""
    try:
        while part := opened.recv(65536):
            received += part
    except ConnectionResetError:
        pass
    return received


@pytest.mark.parametrize(
    ("sent", "answered", "seconds"),
    [
        (b"", b"", 1),
        (b"\r\n", b"HTTP/1.1 408 ", 1),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Half: ", b"HTTP/1.1 408 ", 1),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf", b"HTTP/1.1 408 ", 2),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nX-Half: ", b"HTTP/1.1 200 OK\r\n", 1),
    ],
    ids=["silent", "an empty line", "half of the headers", "half of a body", "a second request"],
)
def test_what_is_not_sent_in_full_in_time_ends_the_connection(
    port: int, sent: bytes, answered: bytes, seconds: int
) -> None:
    with connection(port) as opened:
        began = time.monotonic()
        opened.sendall(sent)
        got = answer(opened)

    assert got.startswith(answered)
    assert bool(got) == bool(answered)
    assert seconds - 0.2 < time.monotonic() - began < seconds + 8


def test_a_body_that_comes_byte_by_byte_has_no_more_time(port: int) -> None:
    with connection(port) as opened:
        began = time.monotonic()
        opened.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n")
        opened.settimeout(0.1)
        got = b""
        while not got and time.monotonic() - began < 10:
            opened.sendall(b"x")
            try:
                got = opened.recv(100)
            except TimeoutError:
                continue

    assert got.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "headers",
    [
        b"X-Long: " + b"x" * 40_000 + b"\r\n\r\n",
        b"X-Endless: " + b"x" * 40_000,
        b"".join(b"X-%d: y\r\n" % number for number in range(4_000)) + b"\r\n",
    ],
    ids=["a long one", "one without an end", "many"],
)
def test_headers_beyond_their_size_are_refused(port: int, headers: bytes) -> None:
    with connection(port) as opened:
        opened.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + headers)

        assert answer(opened).startswith(b"HTTP/1.1 431 ")


def test_requests_one_after_the_other_have_their_time_each(port: int) -> None:
    with connection(port) as opened:
        for _ in range(4):
            opened.sendall(
                b"POST / HTTP/1.1\r\nHost: x\r\nX-Large: " + b"x" * 20_000 + b"\r\nContent-Length: 4\r\n\r\n"
            )
            time.sleep(0.5)  # the pace of a slow client, within each deadline and beyond them together
            opened.sendall(b"body")
            assert opened.recv(65536).startswith(b"HTTP/1.1 200 OK")


def test_one_connection_too_many_is_refused(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_bounds, "MOST_CONNECTIONS", 2)
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"

    with connection(port) as first, connection(port) as second:
        for opened in (first, second):
            opened.sendall(request)
            assert opened.recv(65536).startswith(b"HTTP/1.1 200 OK")
        with connection(port) as third:
            assert answer(third) == b""
    eventually(lambda: _assert_served(port, request))


def _assert_served(port: int, request: bytes) -> None:
    with connection(port) as opened:
        opened.sendall(request)
        assert opened.recv(65536).startswith(b"HTTP/1.1 200 OK")


def test_the_gateway_ends_silent_connections_and_serves_the_others(gateway: GatewayProcess) -> None:
    began = time.monotonic()
    with connection(gateway.port) as silent, connection(gateway.port) as half:
        half.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Half: ")
        assert gateway.get("/sync/status", "ann")["isRunning"] is False
        assert answer(half).startswith(b"HTTP/1.1 408 ")
        assert answer(silent) == b""
    assert 9 < time.monotonic() - began < 19
    large = gateway.ask("GET", "/api/v1/portfolio", token_of("ann"), headers={"X-Large": "x" * 40_000})
    assert large.status_code == 431
