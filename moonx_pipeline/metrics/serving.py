"""Serves metrics and health from a thread, in processes that serve nothing else."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from prometheus_client import CollectorRegistry

from moonx_pipeline.errors import OperatorError
from moonx_pipeline.metrics.exposition import Answer, exposition
from moonx_pipeline.metrics.health import Readiness
from moonx_pipeline.settings.service import MonitoringSettings

_NEXT_PORTS: Final = 5
_log = structlog.get_logger("monitoring")


Route = Callable[[str], Answer]
"""Answers a request by its ``Accept`` header."""


def is_wanted(settings: MonitoringSettings) -> bool:
    """Whether there is anything to serve."""
    return settings.prometheus or settings.health_checks


def listen(host: str, port: int | None, *, default: int, setting: str) -> socket.socket:
    """A socket that listens on the configured port, else on the first free port from a default on.

    So several workers on one machine need no settings, and a configured port is that port or an error.

    Args:
        host: Address to listen on.
        port: The setting's value; ``None`` if it is not set.
        default: The first port to try if it is not set.
        setting: The setting's name.

    Raises:
        OperatorError: The port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    candidates = [port] if port is not None else [*range(default, default + _NEXT_PORTS), 0]
    for candidate in candidates:
        try:
            return socket.create_server((host, candidate), family=family, backlog=64)
        except OSError as problem:
            why = problem.strerror
    raise OperatorError(
        f"Metrics and health can't be served at {host}:{candidates[0]} ({why}): set {setting} or METRICS_HOST."
    )


def serve(
    listening: socket.socket, settings: MonitoringSettings, *, registry: CollectorRegistry, readiness: Readiness
) -> None:
    """Serves metrics and health, as far as the settings enable them, until the process ends.

    Args:
        listening: The socket.
        settings: Which of metrics and health to serve.
        registry: The metrics; the results of health checks are added.
        readiness: The health checks; from now on they also run at an interval.
    """
    routes: dict[str, Route] = {}
    if settings.prometheus:
        routes["/metrics"] = partial(exposition, registry=registry)
    if settings.health_checks:
        registry.register(readiness)
        readiness.watch(settings.health_interval_ms / 1000)
        routes["/health/live"] = lambda _accept: _json({"status": "live"})
        routes["/health/ready"] = lambda _accept: _readiness(readiness.read())
    MonitoringServer(listening, routes).start()


class MonitoringServer(ThreadingHTTPServer):
    """Serves a few routes on a listening socket."""

    daemon_threads = True

    def __init__(self, listening: socket.socket, routes: Mapping[str, Route]) -> None:
        super().__init__(listening.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.routes = routes

    def start(self) -> None:
        """Serves until the process ends."""
        # Otherwise a forked process would hold the port as long as it lives.
        os.register_at_fork(after_in_child=self.socket.close)
        threading.Thread(target=self.serve_forever, name="monitoring", daemon=True).start()
        host, port = self.socket.getsockname()[:2]
        _log.info("serves", url=f"http://{host}:{port}", paths=sorted(self.routes))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Logs nothing: clients may hang up at any time."""
        _log.debug("a request broke off", client=client_address[0])


class _Handler(BaseHTTPRequestHandler):
    server: MonitoringServer
    timeout = 10  # seconds, for a client that sends nothing

    def do_GET(self) -> None:
        route = self.server.routes.get(urlsplit(self.path).path)
        if route is None:
            answer = _json({"error": f"There is no such path; there are {', '.join(self.server.routes)}."}, 404)
        else:
            answer = route(self.headers.get("Accept", ""))
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def version_string(self) -> str:
        return "moonx"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """No access log: scrapers poll constantly."""


def _readiness(found: dict[str, Any]) -> Answer:
    return _json(found, 200 if found["status"] == "ready" else 503)


def _json(value: Mapping[str, Any], status: int = 200) -> Answer:
    return Answer(status, "application/json", json.dumps(value).encode())
