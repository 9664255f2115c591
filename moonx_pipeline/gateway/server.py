"""Runs the gateway as a process."""

from __future__ import annotations

import resource
import socket
from contextlib import suppress
from typing import Final

import uvicorn

from moonx_pipeline.errors import OperatorError
from moonx_pipeline.gateway.app import create_app
from moonx_pipeline.gateway.http_bounds import BoundedHttp
from moonx_pipeline.settings import Settings
from moonx_pipeline.storage.connection.engine import ready_engine

_LARGEST_MESSAGE: Final = 64 * 1024
_DRAIN_SECONDS: Final = 5
"""How long requests in progress may take to end when the process is stopped."""


def run_gateway(settings: Settings) -> None:
    """Serves until stopped.

    Raises:
        OperatorError: The port is taken, the database can't be used, or the token keys are missing.
    """
    settings = _keeping_connections(settings)
    app = create_app(settings, ready_engine(settings))
    _allow_many_sockets()
    listening = _listen(settings.gateway.host, settings.gateway.port)
    config = uvicorn.Config(
        app,
        log_config=None,
        http=BoundedHttp,
        access_log=False,  # the app logs each request with its id
        proxy_headers=True,
        forwarded_allow_ips=settings.gateway.trusted_proxies,
        server_header=False,
        ws_max_size=_LARGEST_MESSAGE,
        ws_ping_interval=None,  # Engine.IO pings by itself
        ws_per_message_deflate=False,  # its buffers cost each socket more memory than the traffic they save
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )
    with suppress(KeyboardInterrupt):  # uvicorn raises the signal again after it has stopped
        uvicorn.Server(config).run(sockets=[listening])


def _keeping_connections(settings: Settings) -> Settings:
    """The same settings, by which all connections stay open: opening one takes longer than most requests."""
    database = settings.database.model_copy(update={"min_connections": settings.database.max_connections})
    return settings.model_copy(update={"database": database})


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as problem:
        raise OperatorError(
            f"The gateway can't listen at {host}:{port} ({problem.strerror}): set GATEWAY_PORT or GATEWAY_HOST."
        ) from None


def _allow_many_sockets() -> None:
    """Raises the soft limit of open files, often a thousand: each socket is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
