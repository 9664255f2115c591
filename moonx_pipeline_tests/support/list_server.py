"""A server of token lists: a test says what stands at each path, and sees what was asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

LISTING = "/api/v3/coins/list"
"""Where CoinGecko's listing stands."""


@dataclass
class ListServer:
    """What is served.

    Attributes:
        url: Of the server, without a path.
        answers: Status, body and headers by path; 404 for any other.
        asked: Paths with their queries, in order.
    """

    url: str
    answers: dict[str, tuple[int, bytes, dict[str, str]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def put(self, path: str, content: Any, status: int = 200, **headers: str) -> None:
        """Serves JSON, or bytes as they are."""
        body = content if isinstance(content, bytes) else msgspec.json.encode(content)
        self.answers[path] = (status, body, {name.replace("_", "-"): value for name, value in headers.items()})

    def put_tokens(self, path: str, *tokens: tuple[int, str, str], version: int = 1) -> None:
        """Serves a token list of chain ids, contracts and symbols."""
        rows = [
            {"chainId": chain_id, "address": address, "symbol": symbol, "name": f"The {symbol}", "decimals": 18}
            for chain_id, address, symbol in tokens
        ]
        self.put(path, {"name": path, "version": {"major": version, "minor": 0, "patch": 0}, "tokens": rows})

    def put_coins(self, *coins: tuple[str, str, dict[str, str]]) -> None:
        """Serves a listing of ids, symbols and contracts by platform."""
        self.put(LISTING, [{"id": i, "symbol": s, "name": f"The {s}", "platforms": p} for i, s, p in coins])


@contextmanager
def serving_lists() -> Iterator[ListServer]:
    """A server until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            lists.asked.append(self.path)
            status, body, headers = lists.answers.get(self.path.partition("?")[0], (404, b"", {}))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        lists = ListServer(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield lists
        server.shutdown()
        thread.join()
