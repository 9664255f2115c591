"""A TCP proxy before a server, whose link can be cut, slowed or reset, or lose its connections without a word.

Toxiproxy knows most of this, but not the worst: connections that exist are lost while new ones pass.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from typing import Final, Literal, TypeVar

Direction = Literal["up", "down"]
"""Up is to the server, down is from it."""

Address = tuple[str, int] | str
"""Host and port, or the path of a Unix socket."""

BOTH: Final[tuple[Direction, ...]] = ("up", "down")
T = TypeVar("T")


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """The loop of all links of this process, in a thread of its own."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="links", daemon=True).start()
    return loop


def _in_loop(what: Callable[[], T]) -> T:
    async def run() -> T:
        return what()

    return asyncio.run_coroutine_threadsafe(run(), _loop()).result(10)


class _Connection:
    """A client's connection and the server's: lost ones drop all that arrives."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter, *, lost: bool) -> None:
        self.client, self.server, self.lost = client, server, lost

    def reset(self) -> None:
        """Ends both with a reset, as a host does that knows nothing of them."""
        for writer in (self.client, self.server):
            with suppress(OSError):
                used = writer.get_extra_info("socket")
                used.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


class Link:
    """Passes bytes between clients and one server; what it acknowledged while it was cut, it passes on when it heals.

    Attributes:
        port: Where it listens, on the loopback interface.
        accepted: The number of connections so far.
    """

    def __init__(self, target: Address) -> None:
        """Listens; the server need not run yet."""
        self._target = target
        self.accepted = 0
        self._delay_seconds = 0.0
        self._takes_new = self._refuses = False
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: dict[str, asyncio.Event] = {}
        door = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = door.getsockname()[1]
        self._server = asyncio.run_coroutine_threadsafe(self._listen(door), _loop()).result(10)

    async def _listen(self, door: socket.socket) -> asyncio.Server:
        self._open = {direction: asyncio.Event() for direction in BOTH}
        self._heal()
        return await asyncio.start_server(self._serve, sock=door)

    # Faults

    def cut(self, directions: Iterable[Direction] = BOTH) -> None:
        """Holds back all bytes of these directions, of old connections and new ones."""

        def cut() -> None:
            for direction in directions:
                self._open[direction].clear()

        _in_loop(cut)

    def slow(self, seconds: float) -> None:
        """Delays each part of a stream by so much."""
        _in_loop(lambda: setattr(self, "_delay_seconds", seconds))

    def lose_connections(self, *, takes_new: bool = True) -> None:
        """Drops all that existing connections send from now on, as a firewall that forgot them.

        Without ``takes_new`` the connections that are made later are lost, too, until ``take_new``.
        """

        def lose() -> None:
            self._takes_new = takes_new
            for connection in self._connections:
                connection.lost = True

        _in_loop(lose)

    def end_lost_at_server(self) -> None:
        """Ends the server's side of lost connections, as its keepalive does; the clients learn nothing."""

        def end() -> None:
            for connection in self._connections:
                if connection.lost:
                    connection.server.transport.abort()

        _in_loop(end)

    def take_new(self) -> None:
        """Lets new connections pass again."""
        _in_loop(lambda: setattr(self, "_takes_new", True))

    def refuse(self) -> None:
        """Resets all connections, and each new one at once, as if nothing listened."""

        def refuse() -> None:
            self._refuses = True
            self._reset(self._connections)

        _in_loop(refuse)

    def reset(self) -> None:
        """Resets all connections once; new ones pass."""
        _in_loop(lambda: self._reset(self._connections))

    def lead_to(self, target: Address) -> None:
        """Leads new connections to another server, and resets those to the one before."""

        def lead() -> None:
            self._target = target
            self._reset(self._connections)

        _in_loop(lead)

    def heal(self) -> None:
        """Passes all again. Both ends of lost connections learn of it, as keepalive tells them in time."""
        _in_loop(self._heal)

    def _heal(self) -> None:
        self._takes_new, self._refuses, self._delay_seconds = True, False, 0.0
        self._reset({connection for connection in self._connections if connection.lost})
        for passing in self._open.values():
            passing.set()

    @staticmethod
    def _reset(connections: Iterable[_Connection]) -> None:
        for connection in list(connections):
            connection.reset()

    def close(self) -> None:
        """Ends all connections and stops listening."""

        def close() -> None:
            self._server.close()
            self._reset(self._connections)
            for task in self._tasks:
                task.cancel()

        _in_loop(close)

    # Passing on

    async def _serve(self, from_client: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            from_server, server = await self._connect()
        except OSError:
            client.transport.abort()
            self._tasks.discard(task)
            return
        connection = _Connection(client, server, lost=not self._takes_new)
        self._connections.add(connection)
        if self._refuses:
            connection.reset()
        try:
            await asyncio.gather(
                self._pump("up", from_client, server, connection), self._pump("down", from_server, client, connection)
            )
        except asyncio.CancelledError:
            pass  # the link is closed
        finally:
            self._connections.discard(connection)
            self._tasks.discard(task)
            client.close()
            server.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, str):
            return await asyncio.open_unix_connection(self._target)
        return await asyncio.open_connection(*self._target)

    async def _pump(
        self, direction: Direction, source: asyncio.StreamReader, target: asyncio.StreamWriter, connection: _Connection
    ) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                if self._delay_seconds:
                    await asyncio.sleep(self._delay_seconds)
                await self._open[direction].wait()
                if not connection.lost:
                    target.write(data)
                    await target.drain()
            await self._open[direction].wait()
        # The end of a lost connection is not passed on either.
        if not connection.lost:
            with suppress(OSError, RuntimeError):
                target.write_eof()
