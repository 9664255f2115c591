"""The gateway as one ASGI app: API, live connection and page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio.to_thread
import socketio
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from fastapi_offline import FastAPIOffline
from sqlalchemy import Engine
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from moonx_pipeline import __version__
from moonx_pipeline.gateway.auth import token_verifier
from moonx_pipeline.gateway.callers import Gateway
from moonx_pipeline.gateway.limits import RequestLimits
from moonx_pipeline.gateway.live.sockets import LiveServer
from moonx_pipeline.gateway.logos import Logos
from moonx_pipeline.gateway.middleware import QUIET, RequestFrame
from moonx_pipeline.gateway.monitoring import Monitoring
from moonx_pipeline.gateway.page import serve_page
from moonx_pipeline.gateway.problems import answer_problems
from moonx_pipeline.gateway.routes import admin, explain, health, logos, portfolio, session, sync, wallets, webhooks
from moonx_pipeline.settings import Settings
from moonx_pipeline.settings.service import GatewaySettings

_ABOUT = """Portfolios on EVM chains, and their syncs.

Decimals are strings in plain notation, exact; times are RFC 3339 in UTC; what is unknown is null, never 0.
Live updates come by Socket.IO at `/socket.io`, with `auth: {token}`. In them `totalValueUsd` and `valueUsd` are JSON
numbers with all their digits, more than a double has: a client that needs them exactly reads the portfolio here."""


# Requests become spans if traces are recorded; metrics and log lines are ours.
_TRACED: Final[TelemetryConfig] = {
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "exclude": lambda scope: scope["path"].startswith(QUIET),
}


def create_app(settings: Settings, engine: Engine) -> ASGIApp:
    """Builds the gateway.

    Args:
        settings: Token keys, limits and event stream.
        engine: The pipeline's database, reachable and with this version's schema.

    Raises:
        OperatorError: The token keys are missing, or too weak for production.
    """
    verifier = token_verifier(settings)
    limits = RequestLimits(settings.gateway)
    live = LiveServer(engine, settings, verifier, limits)
    gateway = Gateway(engine, settings, verifier, limits, live)
    monitoring = Monitoring(gateway)
    logos_of_tokens = Logos(engine, settings.gateway.logo_hosts)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        # No more threads than connections, so a request never waits for a connection.
        anyio.to_thread.current_default_thread_limiter().total_tokens = max(
            1, settings.database.max_connections - gateway.afterwards.threads
        )
        await live.start()
        monitoring.start()
        yield
        monitoring.stop()
        logos_of_tokens.stop()
        await live.stop()

    app = _api(lifespan)
    monitoring.add_routes(app)
    app.state.gateway = gateway
    app.state.logos = logos_of_tokens
    _add_middleware(app, settings.gateway)
    sockets = RequestFrame(socketio.ASGIApp(live.sio), max_body_bytes=settings.gateway.max_body_bytes)

    async def with_sockets(scope: Scope, receive: Receive, send: Send) -> None:
        await (sockets if f"{scope.get('path')}/".startswith("/socket.io/") else app)(scope, receive, send)

    return with_sockets


def describe_api() -> dict[str, Any]:
    """The API's OpenAPI description."""
    app = _api(None)
    app.include_router(health.router)
    app.include_router(health.readiness_router)
    return app.openapi()


def _api(lifespan: Lifespan[FastAPI] | None) -> FastAPI:
    """The routes, and the page."""
    app = FastAPIOffline(
        title="MoonX portfolio API",
        version=__version__,
        description=_ABOUT,
        license_info={"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        servers=[{"url": "/"}],
        redoc_url=None,
        redirect_slashes=False,  # it would redirect to whatever host the request names
        lifespan=lifespan,
        generate_unique_id_function=_operation_id,
        telemetry=_TRACED,
    )
    for routes in (portfolio, explain, sync, wallets, webhooks, admin, logos, session):
        app.include_router(routes.router, prefix="/api/v1")
    serve_page(app)
    answer_problems(app)
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name


def _add_middleware(app: FastAPI, settings: GatewaySettings) -> None:
    """Adds the middleware of every request; the last one added is outermost."""
    # Level 9 makes a portfolio of 3,000 positions a tenth smaller, and takes 20 ms more.
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=4)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=[
                "Authorization",
                "Content-Type",
                "Idempotency-Key",
                "If-Match",
                "If-None-Match",
                "X-Request-Id",
            ],
            expose_headers=["ETag", "Retry-After", "X-Request-Id"],
            max_age=3600,
        )
    app.add_middleware(RequestFrame, max_body_bytes=settings.max_body_bytes)
