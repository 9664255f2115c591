"""A real HTTP server before a real EVM node, that answers some requests in the node's place."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

Forward = Callable[[Any], Any]
"""Sends a JSON-RPC body on to the node and returns what it answers."""

Rule = Callable[[Any, Forward], tuple[int, Any] | tuple[int, Any, dict[str, str]]]
"""From a request's JSON-RPC body to a status, a body (text as it is, all else as JSON) and, where wanted, headers."""


def node_error(call: Any, code: int, message: str) -> tuple[int, Any]:
    """An answer of a node that refuses one call: HTTP status 200, and an error of JSON-RPC."""
    return 200, {"jsonrpc": "2.0", "id": call["id"], "error": {"code": code, "message": message}}


def brings_code(call: Any) -> bool:
    """Whether a body is one ``eth_call`` with a state override."""
    return isinstance(call, dict) and call["method"] == "eth_call" and len(call["params"]) == 3


@contextmanager
def node_proxy(node_url: str, rule: Rule, *, path: str = "") -> Iterator[str]:
    """Runs the server, and gives its URL with ``path`` at the end."""
    session = requests.Session()
    session.trust_env = False

    def forward(body: Any) -> Any:
        return session.post(node_url, json=body, timeout=10).json()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet: the client's late acknowledgement of the first costs 40 ms

        def do_POST(self) -> None:
            said = rule(json.loads(self.rfile.read(int(self.headers["Content-Length"]))), forward)
            (status, answer), headers = said[:2], said[2] if len(said) == 3 else {}
            raw = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
            """Says nothing on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{path}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        session.close()
