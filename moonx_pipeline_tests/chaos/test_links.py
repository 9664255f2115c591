"""A link passes, holds back, delays, loses and resets what a server that echoes is sent."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from moonx_pipeline_tests.support.links import Direction, Link

_SILENT_SECONDS = 0.3


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        try:
            while data := self.request.recv(100):
                self.request.sendall(data)
        except ConnectionResetError:
            pass


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@pytest.fixture
def link() -> Iterator[Link]:
    with _Server(("127.0.0.1", 0), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        link = Link(("127.0.0.1", server.server_address[1]))
        yield link
        link.close()
        server.shutdown()
        thread.join()


def connected(link: Link) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", link.port), timeout=5)
    assert echoed(client, b"hello") == b"hello"
    return client


def echoed(client: socket.socket, sent: bytes = b"x", seconds: float = 5) -> bytes | None:
    """What comes back; ``None`` if nothing does in time."""
    client.settimeout(seconds)
    client.sendall(sent)
    try:
        return client.recv(100)
    except TimeoutError:
        return None


def is_refused(link: Link) -> bool:
    """Whether a new connection ends at once."""
    try:
        with socket.create_connection(("127.0.0.1", link.port), timeout=5) as client:
            return client.recv(1) == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize("directions", [("up",), ("down",), ("up", "down")])
def test_what_a_cut_link_held_back_arrives_when_it_heals(link: Link, directions: tuple[Direction, ...]) -> None:
    with connected(link) as client:
        link.cut(directions)
        assert echoed(client, b"held", _SILENT_SECONDS) is None

        link.heal()
        client.settimeout(5)
        assert client.recv(100) == b"held"


def test_a_slow_link_delays_each_way(link: Link) -> None:
    with connected(link) as client:
        link.slow(0.2)
        began = time.monotonic()
        assert echoed(client) == b"x"
        assert time.monotonic() - began >= 0.4


def test_forgotten_connections_are_mute_and_new_ones_pass(link: Link) -> None:
    with connected(link) as old:
        link.lose_connections()
        assert echoed(old, seconds=_SILENT_SECONDS) is None
        connected(link).close()

        link.end_lost_at_server()
        assert echoed(old, seconds=_SILENT_SECONDS) is None


def test_a_link_that_takes_no_new_connections_takes_them_again(link: Link) -> None:
    link.lose_connections(takes_new=False)
    with socket.create_connection(("127.0.0.1", link.port), timeout=5) as client:
        assert echoed(client, seconds=_SILENT_SECONDS) is None

    link.take_new()
    connected(link).close()


def test_a_link_that_refuses_resets_old_and_new_connections(link: Link) -> None:
    with connected(link) as old:
        link.refuse()
        with pytest.raises(ConnectionResetError):
            old.recv(1)
    assert is_refused(link)

    link.heal()
    connected(link).close()


def test_a_reset_ends_connections_once(link: Link) -> None:
    with connected(link) as old:
        link.reset()
        with pytest.raises(ConnectionResetError):
            old.recv(1)
    connected(link).close()


def test_a_client_whose_server_is_away_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        away = taken.getsockname()[:2]
    link = Link(away)
    assert is_refused(link)
    link.close()


def test_a_link_that_leads_to_another_server_resets_connections_to_the_first(link: Link) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, connected(link) as old:
        link.lead_to(other.getsockname()[:2])
        with pytest.raises(ConnectionResetError):
            old.recv(1)
        with socket.create_connection(("127.0.0.1", link.port), timeout=5):
            other.settimeout(5)
            other.accept()[0].close()
