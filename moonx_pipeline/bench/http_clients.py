"""Clients of a gateway in a process of their own: many that read, one that clicks. They take little CPU."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Final, NamedTuple

_READ_EVERY: Final = 0.5  # seconds
_CLICK_EVERY: Final = 1.0
_PATIENCE: Final = 60.0


class Told(NamedTuple):
    """An answer.

    Attributes:
        kind: ``read`` or ``click``.
        at: When it was asked for, in Unix time.
        seconds: Until all of the answer was there.
        data: What a click was answered; nothing of a read.
    """

    kind: str
    at: float
    seconds: float
    data: bytes


class Clients:
    """The clients, which ask nothing until they are told to."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def start(self, seconds: float) -> None:
        """Lets each ask again and again."""
        self._pipe.send(seconds)

    def answers(self) -> list[Told]:
        """All answers, once the time is over and the last has come.

        Raises:
            RuntimeError: One was no success.
        """
        found, problem = self._pipe.recv()
        if problem:
            raise RuntimeError(f"A client of the benchmark failed: {problem}")
        return list(found)


@contextmanager
def clients(port: int, readers: Sequence[str], clickers: Sequence[str]) -> Iterator[Clients]:
    """Clients of a gateway.

    Args:
        port: The gateway's.
        readers: The token of each client that reads its portfolio, twice a second.
        clickers: Tokens of people; each second another one of them asks for a sync.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, port, readers, clickers))
    process.start()
    there.close()  # so that what is read ends with the process
    try:
        yield Clients(here)
    finally:
        process.terminate()
        process.join()


def _serve(pipe: Connection, port: int, readers: Sequence[str], clickers: Sequence[str]) -> None:
    people = iter(clickers)
    while True:
        seconds = pipe.recv()
        try:
            pipe.send((asyncio.run(_ask(port, readers, people, time.time() + seconds)), ""))
        except* (OSError, RuntimeError, asyncio.IncompleteReadError) as problems:
            pipe.send(([], str(problems.exceptions[0])))


async def _ask(port: int, readers: Sequence[str], clickers: Iterator[str], end: float) -> list[Told]:
    found: list[Told] = []

    async def read(number: int, token: str) -> None:
        await asyncio.sleep(number / len(readers) * _READ_EVERY)
        connection = await _Connection.to(port, token)
        while time.time() < end:
            found.append(await connection.ask("read", "GET", "/api/v1/portfolio"))
            await asyncio.sleep(_READ_EVERY)
        connection.close()

    async def click(token: str) -> None:
        connection = await _Connection.to(port, token)
        found.append(await connection.ask("click", "POST", "/api/v1/sync/trigger"))
        connection.close()

    async with asyncio.TaskGroup() as tasks:
        for number, token in enumerate(readers):
            tasks.create_task(read(number, token))
        while time.time() < end:
            tasks.create_task(click(next(clickers)))
            await asyncio.sleep(_CLICK_EVERY)
    return found


class _Connection:
    """Just enough of HTTP 1.1 for one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> None:
        self._reader = reader
        self._writer = writer
        self._token = token

    @classmethod
    async def to(cls, port: int, token: str) -> _Connection:
        return cls(*await asyncio.open_connection("127.0.0.1", port), token)

    async def ask(self, kind: str, method: str, path: str) -> Told:
        at, began = time.time(), time.monotonic()
        zip_ = "Accept-Encoding: gzip\r\n" if method == "GET" else ""
        size = "" if method == "GET" else "Content-Length: 0\r\n"
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{zip_}{size}Authorization: Bearer {self._token}\r\n\r\n"
        self._writer.write(head.encode())
        async with asyncio.timeout(_PATIENCE):
            status, body = await self._answer()
        if status not in (200, 202):
            raise RuntimeError(f"{method} {path} was answered {status}: {body[:300].decode(errors='replace')}")
        return Told(kind, at, time.monotonic() - began, b"" if method == "GET" else body)

    async def _answer(self) -> tuple[int, bytes]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        lines = head.split("\r\n")
        length = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))
        return int(lines[0].split()[1]), await self._reader.readexactly(length)

    def close(self) -> None:
        self._writer.close()


def request_of(click: Told) -> str:
    """The id of the request that serves a click."""
    found: str = json.loads(click.data)["data"]["requestId"]
    return found
