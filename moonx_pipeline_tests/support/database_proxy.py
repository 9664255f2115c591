"""A TCP proxy before the tests' PostgreSQL that can lose its connections without a word, as a firewall may."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import make_url


class DatabaseProxy:
    """Passes bytes on, until it is told to drop them; it goes on acknowledging them."""

    def __init__(self, server: str) -> None:
        """Listens; ``server`` is SQLAlchemy's URL of a database behind a socket."""
        self._server = make_url(server)
        self._door = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._sockets: list[socket.socket] = []
        self._takes_new = True
        self.accepted = 0
        self.url = self._server.set(host="127.0.0.1", port=self._door.getsockname()[1], query={"sslmode": "disable"})
        self._pass = self._new_pass()
        threading.Thread(target=self._serve, daemon=True).start()

    @staticmethod
    def _new_pass() -> threading.Event:
        passing = threading.Event()
        passing.set()
        return passing

    def lose_connections(self, *, takes_new: bool = True) -> None:
        """Drops all that existing connections send, in both directions, from now on; whether new ones pass is told."""
        self._takes_new = takes_new
        self._pass.clear()
        self._pass = self._new_pass()

    def take_new(self) -> None:
        """Lets new connections pass again."""
        self._takes_new = True

    def close(self) -> None:
        for used in (self._door, *self._sockets):
            with suppress(OSError):
                used.shutdown(socket.SHUT_RDWR)
            used.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._door.accept()
                self.accepted += 1
                server = socket.socket(socket.AF_UNIX)
                server.connect(f"{self._server.query['host']}/.s.PGSQL.5432")
                self._sockets += [client, server]
                passing = self._pass if self._takes_new else threading.Event()
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=_pump, args=(source, target, passing), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket, passing: threading.Event) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            if passing.is_set():
                target.sendall(data)
    # The end of a lost connection is not passed on either.
    if passing.is_set():
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@contextmanager
def database_proxy(server: str) -> Iterator[DatabaseProxy]:
    proxy = DatabaseProxy(server)
    try:
        yield proxy
    finally:
        proxy.close()
