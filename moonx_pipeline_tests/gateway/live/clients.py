"""Who listens: the official JavaScript client as a process of its own, and a bare connection."""

from __future__ import annotations

import base64
import json
import os
import queue
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from moonx_pipeline_tests.fixtures.gateway import GatewayProcess, token_of
from moonx_pipeline_tests.fixtures.missing import unavailable

_SCRIPT = Path(__file__).with_name("client.mjs")
_LIBRARY = Path(__file__).parents[3] / "web" / "node_modules" / "socket.io-client"
_SECONDS = 30
_END = {"name": "end"}


class Client:
    """A client that runs; what it receives is taken in its order."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put(_END)

    def next(self, *names: str) -> dict[str, Any]:
        """The next of these that it receives, or the next of all; what comes before it is passed over."""
        while True:
            line = self._lines.get(timeout=_SECONDS)
            assert line is not _END, "The client has ended."
            if not names or line["name"] in names:
                return line

    def until(self, name: str, **data: Any) -> list[dict[str, Any]]:
        """All that it receives, up to the first of a name with these data."""
        received = []
        while True:
            received.append(self.next())
            if received[-1]["name"] == name and data.items() <= (received[-1].get("data") or {}).items():
                return received

    def ask(self, name: str, *data: Any) -> Any:
        """Emits an event, and gives what it is answered."""
        self._write(name, *data)
        return self.next("answer")["data"]

    def break_connection(self) -> None:
        """Loses the connection; the client comes back by itself."""
        self._write("break the connection")

    def _write(self, *words: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(words)}\n")
        self._process.stdin.flush()


@contextmanager
def client(gateway: GatewayProcess, auth: Any, **options: Any) -> Iterator[Client]:
    """The official client, until the block ends."""
    if shutil.which("node") is None or not _LIBRARY.is_dir():
        reason = "The official client needs Node.js, and 'npm ci' in web/."
        unavailable(reason)
    given = json.dumps({"url": gateway.url, "auth": auth, "options": options})
    process = subprocess.Popen(["node", str(_SCRIPT), given], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Client(process)
    finally:
        process.kill()
        process.wait()


@contextmanager
def connected(
    gateway: GatewayProcess, user_id: str, *, last_version: int | None = None, **claims: Any
) -> Iterator[Client]:
    """The official client of a user, let in."""
    version = {} if last_version is None else {"lastVersion": last_version}
    with client(gateway, {"token": token_of(user_id, **claims), **version}) as running:
        running.next("connect")
        yield running


class BareSocket:
    """A WebSocket of Engine.IO 4 without a library, that reads only when it is told to."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.settimeout(_SECONDS)
        self._socket.connect(("127.0.0.1", gateway.port))
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n"
            f"Host: 127.0.0.1:{gateway.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self._received = b""
        self._take_until(b"\r\n\r\n")

    def send(self, text: str) -> None:
        """Sends one packet of Engine.IO."""
        data = text.encode()
        length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xff" + len(data).to_bytes(8, "big")
        self._socket.sendall(b"\x81" + length + b"\0\0\0\0" + data)

    def join(self, user_id: str) -> None:
        """Is let in."""
        self.send("40" + json.dumps({"token": token_of(user_id)}))
        self._take_until(b'40{"sid"')

    def _take_until(self, wanted: bytes) -> None:
        while wanted not in self._received:
            taken = self._socket.recv(4096)
            assert taken, self._received
            self._received += taken

    def until_cut(self) -> int:
        """Reads what there is, to the end of the connection; returns how many bytes there were."""
        count = 0
        try:
            while taken := self._socket.recv(65536):
                count += len(taken)
        except ConnectionResetError:
            pass
        return count

    def close(self) -> None:
        self._socket.close()
