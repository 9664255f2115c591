"""Deadlines, sizes, retries and errors of every provider call, over real sockets."""

import gzip
import itertools
import socket
import threading
import time
import traceback
import tracemalloc
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest

from moonx_pipeline.providers.classification import refusal
from moonx_pipeline.providers.errors import (
    CallTimeout,
    DeadlineOver,
    Malformed,
    Oversized,
    ProviderError,
    RateLimited,
    Unavailable,
)
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.request import Request
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline_tests.support.raw_server import answering, http


def ask(
    url: str, scope: CallScope | None = None, *, retries: int = 1, timeout_s: float = 2, most: int = 1 << 20
) -> bytes:
    client = HttpClient(
        "alchemy",
        timeout_s=timeout_s,
        retries=retries,
        retry_delay_s=0.01,
        max_body_bytes=most,
        secrets=["sekret-key"],
    )
    return client.send(
        Request("GET", url, "test", compute_units=7),
        lambda status, headers, body: refusal("alchemy", status, headers, body),
        scope=scope or CallScope.lasting(10),
    )


def test_a_good_answer_is_given_and_counted() -> None:
    scope = CallScope.lasting(5)
    with answering(http(b"{}")) as url:
        assert ask(url, scope) == b"{}"

    (call,) = scope.calls
    assert (call.provider, call.endpoint, call.outcome, call.compute_units) == ("alchemy", "test", "ok", 7)


def test_a_fault_that_passes_is_asked_again_and_each_try_is_counted() -> None:
    scope = CallScope.lasting(5)
    with answering(http(b"", "503 Gone"), http(b"", "500 Gone"), http(b"[]")) as url:
        assert ask(url, scope, retries=3) == b"[]"

    assert [call.outcome for call in scope.calls] == ["Unavailable", "Unavailable", "ok"]


@pytest.mark.parametrize("status", ["400 Bad", "401 No", "403 No", "404 None", "418 Teapot", "451 Law"])
def test_what_will_not_pass_is_asked_once(status: str) -> None:
    scope = CallScope.lasting(5)
    with answering(http(b"{}", status)) as url, pytest.raises(ProviderError):
        ask(url, scope, retries=3)

    assert len(scope.calls) == 1


def test_a_short_retry_after_is_waited_for_and_a_long_one_is_not() -> None:
    scope = CallScope.lasting(5)
    with answering(http(b"", "429 Slow", "Retry-After: 1\r\n"), http(b"{}")) as url:
        started = time.monotonic()
        assert ask(url, scope, retries=2) == b"{}"
        assert time.monotonic() - started >= 0.9
    with answering(http(b"", "429 Slow", "Retry-After: 3600\r\n")) as url, pytest.raises(RateLimited) as limited:
        ask(url, retries=3)
    assert limited.value.retry_at is not None
    assert 3500 < (limited.value.retry_at - datetime.now(UTC)).total_seconds() <= 3600


def test_a_slow_drip_ends_at_the_deadline() -> None:
    release = threading.Event()

    def drip(connection) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not release.wait(0.02):
            connection.sendall(b"x")

    with answering(drip) as url:
        with pytest.raises(CallTimeout, match="did not answer in full"):
            ask(url, timeout_s=0.3)
        release.set()


@pytest.mark.parametrize(
    "start",
    [b"", b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: "],
    ids=["status", "headers", "after hints", "hints"],
)
def test_a_byte_now_and_then_before_the_body_ends_at_the_deadline_of_the_whole_call(start: bytes) -> None:
    release, sent = threading.Event(), threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(start)
        for byte in itertools.chain(b"HTTP/1.1 200 OK\r\nX-Slow: ", itertools.repeat(ord("x"))):
            if release.wait(0.3):
                return
            connection.sendall(bytes([byte]))
            sent.set()

    with answering(drip) as url:
        started = time.monotonic()
        with pytest.raises(CallTimeout, match="did not answer in full"):
            ask(url, timeout_s=1)
        assert time.monotonic() - started < 10
        assert sent.is_set()
        release.set()


def test_finding_a_host_by_its_name_has_no_longer_than_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(30) and [])

    started = time.monotonic()
    with pytest.raises(CallTimeout):
        ask("http://name.invalid/", timeout_s=1)
    assert time.monotonic() - started < 10
    release.set()


def test_an_address_that_is_silent_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moonx_pipeline.providers.connections.CONNECT_SECONDS", 0.3)
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as silent,
        socket.create_connection(silent.getsockname()),  # its queue is full: what comes next is not answered
        answering(http(b"{}")) as url,
    ):
        port = urlsplit(url).port
        addresses = [silent.getsockname(), ("127.0.0.1", port)]
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        assert ask(f"http://name.invalid:{port}/", timeout_s=3) == b"{}"


def test_a_handshake_that_is_never_answered_ends_at_the_deadline() -> None:
    release = threading.Event()
    with answering(lambda _connection: release.wait(20)) as url:
        started = time.monotonic()
        with pytest.raises(CallTimeout):
            ask(url.replace("http:", "https:"), timeout_s=1)
        assert time.monotonic() - started < 10  # reading the certificates of authorities takes its time, too
        release.set()


def test_a_server_that_never_answers_ends_at_the_deadline_of_the_sync() -> None:
    release = threading.Event()
    with answering(lambda _connection: release.wait(5)) as url:
        with pytest.raises(DeadlineOver):
            ask(url, CallScope.lasting(0.3), retries=3, timeout_s=30)
        release.set()


def test_a_repeat_that_would_come_too_late_does_not_hide_what_went_wrong() -> None:
    scope = CallScope.lasting(0.9)
    release = threading.Event()
    with answering(http(b"", "503 Gone"), lambda _connection: release.wait(5)) as url:
        with pytest.raises(Unavailable, match="503"):
            ask(url, scope, retries=3)
        release.set()

    assert [call.outcome for call in scope.calls] == ["Unavailable"]


def test_after_the_deadline_nothing_is_asked() -> None:
    scope = CallScope.lasting(0)
    with pytest.raises(DeadlineOver, match="was not asked"):
        ask("http://127.0.0.1:1/", scope)


@pytest.mark.parametrize(
    "broken",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nnogzi",
        b"no http at all",
        b"",
    ],
)
def test_an_answer_that_breaks_off_is_an_outage_not_a_short_answer(broken: bytes) -> None:
    with answering(broken) as url, pytest.raises(Unavailable):
        ask(url)


def test_an_answer_that_is_too_large_is_not_read_to_its_end() -> None:
    with answering(http(b"x" * 100_000)) as url, pytest.raises(Oversized, match="more than 1000 bytes"):
        ask(url, most=1000)


@pytest.mark.parametrize("times", [1, 2])
def test_an_answer_that_is_packed_small_is_not_unpacked_to_its_end(times: int) -> None:
    body = b"0" * 30_000_000
    for _ in range(times):
        body = gzip.compress(body)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {', '.join(['gzip'] * times)}\r\nContent-Length: {len(body)}\r\n\r\n"

    with answering(head.encode() + body) as url:
        tracemalloc.start()
        with pytest.raises(Oversized):
            ask(url)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert peak < 5_000_000


@pytest.mark.parametrize("status", ["600 What", "799 What", "999 What", "101 Switching Protocols"])
def test_a_status_that_is_no_answer_is_a_typed_error_and_counted_as_one(status: str) -> None:
    scope = CallScope.lasting(5)
    with answering(http(b"{}", status)) as url, pytest.raises(Malformed, match=status[:3]):
        ask(url, scope, retries=2)

    assert [call.outcome for call in scope.calls] == ["Malformed", "Malformed"]


HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"


@pytest.mark.parametrize(
    "interim", [HINTS, HINTS * 3, b"HTTP/1.1 102 Processing\r\n\r\n" + HINTS, b"HTTP/1.1 100 Continue\r\n\r\n" + HINTS]
)
def test_what_a_server_announces_is_read_past_to_the_answer(interim: bytes) -> None:
    scope = CallScope.lasting(5)
    with answering(interim + http(b'{"n":1}')) as url:
        assert ask(url, scope) == b'{"n":1}'

    assert [call.outcome for call in scope.calls] == ["ok"]


@pytest.mark.slow
def test_an_answer_after_hints_is_never_taken_for_that_of_the_next_call() -> None:
    """Two calls over one connection: each gets its own answer."""
    bodies = iter([b"[1]", b"[2]"])

    def keep_alive(connection: socket.socket) -> None:
        for body in bodies:
            connection.sendall(HINTS + f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            connection.recv(65536)

    client = HttpClient("alchemy", timeout_s=2, retries=1, retry_delay_s=0, max_body_bytes=1000)
    with answering(keep_alive) as url:
        said = [client.send(Request("GET", url, "test"), lambda *_: None, scope=CallScope.lasting(5)) for _ in range(2)]

    assert said == [b"[1]", b"[2]"]


def test_hints_without_end_are_an_outage() -> None:
    with answering(HINTS * 50) as url, pytest.raises(Unavailable):
        ask(url)


def test_a_fault_of_our_own_is_not_counted_as_a_good_call() -> None:
    scope = CallScope.lasting(5)
    client = HttpClient("alchemy", timeout_s=2, retries=1, retry_delay_s=0, max_body_bytes=1000)

    def broken(*_: object) -> None:
        raise StopIteration

    with answering(http(b"{}")) as url, pytest.raises(StopIteration):
        client.send(Request("GET", url, "test"), broken, scope=scope)

    assert [call.outcome for call in scope.calls] == ["Unforeseen"]


def test_nobody_listening_is_an_outage() -> None:
    with pytest.raises(Unavailable, match="can't be reached"):
        ask("http://127.0.0.1:1/v2/sekret-key")


@pytest.mark.parametrize(
    "answer",
    [
        http(b'{"error":{"message":"Invalid access key sekret-key"}}', "401 No"),
        http(b"sekret-key" * 10, "500 Broken"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        b"",
        http(b"", "301 Moved", "Location: http://elsewhere/sekret-key\r\n"),
    ],
)
def test_the_key_is_in_no_error_nor_in_what_caused_it(answer: bytes) -> None:
    with answering(answer) as url, pytest.raises(ProviderError) as problem:
        ask(url)

    assert "sekret-key" not in "".join(traceback.format_exception(problem.value, chain=True)[-1:])
    cause: BaseException | None = problem.value
    while cause is not None:
        assert "sekret-key" not in str(cause) + repr(cause)
        cause = None if cause.__suppress_context__ else cause.__context__
