"""A server that answers with whatever bytes a test wants, at the pace it wants."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Answer = Callable[[socket.socket], None]


def http(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}Connection: close\r\n\r\n".encode() + body


@contextmanager
def answering(*answers: bytes | Answer) -> Iterator[str]:
    """Gives one answer a connection, in order; the last one again and again."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)

        def serve() -> None:
            number = 0
            while not stop.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                answer = answers[min(number, len(answers) - 1)]
                number += 1
                with connection:
                    connection.settimeout(5)
                    connection.recv(65536)
                    try:
                        answer(connection) if callable(answer) else connection.sendall(answer)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/v2/sekret-key"
        finally:
            stop.set()
            thread.join()
