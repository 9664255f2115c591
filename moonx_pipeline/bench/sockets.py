"""The live connection's costs: time from an event's commit to the page, and memory a socket."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import random
import resource
import secrets
import statistics
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from multiprocessing.connection import Connection
from typing import Final, NamedTuple

import jwt
import psutil

from moonx_pipeline.bench.setting import Bench, await_gateway
from moonx_pipeline.domain.events import Event, SyncRef, portfolio_updated
from moonx_pipeline.domain.portfolio import Position
from moonx_pipeline.domain.valuation import totals_of
from moonx_pipeline.simulator.server import free_port
from moonx_pipeline.storage.syncs.outbox import insert_events

_EVENTS_PER_SECOND: Final = 100
_SECONDS: Final = 10
_TOKENS: Final = 25
_LOST_SECONDS: Final = 10.0
"""An event that has not arrived this long after the last commit counts as lost."""

_CONNECTING: Final = 100
_JOINED: Final = b'40{"sid"'
_UPDATE: Final = b'42["portfolio_update",'


class _Received(NamedTuple):
    event_id: str
    user_id: str
    at: float


def sockets(running: Bench) -> None:
    """One socket a user, on one gateway; each event is a portfolio of 25 tokens in its own transaction."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    misdelivered = 0
    with _gateway() as (port, secret, process):
        for count in (1000, 5000):
            before = process.memory_full_info().uss
            with _listeners(port, secret, count) as listeners:
                memory = (process.memory_full_info().uss - before) / count / 1024
                told = _tell(running, count)
                listeners.send(len(told))
                received: list[_Received] = listeners.recv()
            waited = sorted((r.at - told[r.event_id][1]) * 1000 for r in received if r.event_id in told)
            if count == 1000:
                running.add("delivery_p50_ms_1000_sockets", statistics.median(waited), "ms", "")
            ninety_nine = statistics.quantiles(waited, n=100)[98]
            running.add(f"delivery_p99_ms_{count}_sockets", ninety_nine, "ms", "<= 500" if count == 1000 else "")
            misdelivered += _misdelivered(told, received)
    running.add("socket_memory_kb", memory, "KB", "")
    running.add("misdelivered_events", misdelivered, "events", "0")
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _misdelivered(told: dict[str, tuple[str, float]], received: list[_Received]) -> int:
    """Counts events that reached another user, came twice, or not at all."""
    right = Counter(r.event_id for r in received if told.get(r.event_id, ("", 0.0))[0] == r.user_id)
    return len(received) - right.total() + sum(abs(right[event_id] - 1) for event_id in told)


def _tell(running: Bench, users: int) -> dict[str, tuple[str, float]]:
    """Commits events at a fixed pace; returns each one's user and when its commit began."""
    told = {}
    versions: Counter[str] = Counter()
    with running.engine.connect() as connection:
        began = time.monotonic()
        for number in range(_EVENTS_PER_SECOND * _SECONDS):
            time.sleep(max(0.0, began + number / _EVENTS_PER_SECOND - time.monotonic()))
            user_id = f"user{random.randrange(users)}"  # noqa: S311 - a draw of users
            # Versions continue in the second round.
            versions[user_id] += 1
            event = _event(user_id, users * 1000 + versions[user_id])
            insert_events(connection, [event])
            told[str(event.id)] = (user_id, time.monotonic())
            connection.commit()
    return told


def _event(user_id: str, version: int) -> Event:
    wallet, now = f"0x{'ab' * 20}", datetime.now(UTC)
    positions = [
        Position(
            wallet, 1, f"0x{token:040x}", f"TKN{token}", f"Token {token}", 18, 10**21 + token, Decimal(1000 + token),
            Decimal("1.2345"), Decimal("1234.5") + token, "coingecko", now, Decimal("-0.5"), False, (), True, (), None,
            False,
        )
        for token in range(_TOKENS)
    ]  # fmt: skip
    facts = SyncRef(uuid.uuid4(), user_id, wallet, "schedule", now)
    return portfolio_updated(
        facts, version=version, at=now, duration_ms=900, positions=positions, totals=totals_of(positions, [])
    )


@contextmanager
def _gateway() -> Iterator[tuple[int, str, psutil.Process]]:
    port, secret = free_port(), secrets.token_urlsafe(48)
    process = subprocess.Popen(
        [sys.executable, "-m", "moonx_pipeline", "gateway"],
        env={**os.environ, "GATEWAY_PORT": str(port), "JWT_SECRET": secret, "LOG_LEVEL": "error"},
    )
    try:
        await_gateway(port)
        yield port, secret, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _listeners(port: int, secret: str, count: int) -> Iterator[Connection]:
    """A process with this many admitted sockets; sent a number of events, it answers what they received."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_listen, args=(there, port, secret, count))
    process.start()
    try:
        here.recv()
        yield here
    finally:
        process.terminate()
        process.join()


def _listen(pipe: Connection, port: int, secret: str, count: int) -> None:
    async def listen() -> list[_Received]:
        inbox = _Inbox()
        connecting = asyncio.Semaphore(_CONNECTING)
        loop = asyncio.get_running_loop()

        async def connect(number: int) -> None:
            async with connecting:
                socket = _Socket(f"user{number}", secret, inbox)
                await loop.create_connection(lambda: socket, "127.0.0.1", port)
                await socket.joined

        await asyncio.gather(*(connect(number) for number in range(count)))
        pipe.send(None)
        inbox.expect(await asyncio.to_thread(pipe.recv))
        with suppress(TimeoutError):
            await asyncio.wait_for(inbox.complete.wait(), _LOST_SECONDS)
        return inbox.received

    pipe.send(asyncio.run(listen()))


class _Inbox:
    """The events that all sockets received."""

    def __init__(self) -> None:
        self.received: list[_Received] = []
        self.complete = asyncio.Event()
        self._expected = sys.maxsize

    def expect(self, count: int) -> None:
        self._expected = count
        self._look()

    def put(self, received: _Received) -> None:
        self.received.append(received)
        self._look()

    def _look(self) -> None:
        if len(self.received) >= self._expected:
            self.complete.set()


class _Socket(asyncio.Protocol):
    """Just enough of WebSocket, Engine.IO 4 and Socket.IO 5 to receive a user's events, at little cost."""

    def __init__(self, user_id: str, secret: str, inbox: _Inbox) -> None:
        self._user_id = user_id
        self._token = jwt.encode({"sub": user_id, "exp": datetime.now(UTC) + timedelta(hours=1)}, secret)
        self._inbox = inbox
        self._buffer = b""
        self._is_open = False
        self.joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )

    def data_received(self, data: bytes) -> None:
        at = time.monotonic()
        self._buffer += data
        if not self._is_open:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            assert b" 101 " in head, head
            self._is_open, self._buffer = True, rest
            self._send(f"40{json.dumps({'token': self._token})}")
        while (message := self._message()) is not None:
            self._take(message, at)

    def _message(self) -> bytes | None:
        """The next whole message; servers don't mask them."""
        if len(self._buffer) < 4:
            return None
        length, start = self._buffer[1], 2
        if length >= 126:
            start = 4 if length == 126 else 10
            length = int.from_bytes(self._buffer[2:start], "big")
        if len(self._buffer) < start + length:
            return None
        message = self._buffer[start : start + length]
        self._buffer = self._buffer[start + length :]
        return message

    def _take(self, message: bytes, at: float) -> None:
        if message == b"2":
            self._send("3")
        elif message.startswith(_UPDATE):
            event_id = json.loads(message[2:])[1]["eventId"]
            self._inbox.put(_Received(event_id, self._user_id, at))
        elif message.startswith(_JOINED):
            self.joined.set_result(None)

    def _send(self, text: str) -> None:
        data = text.encode()
        size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
        self._transport.write(b"\x81" + size + b"\0\0\0\0" + data)
