"""Whether the gateway lives and is ready. Without a token: it tells of parts, not of users."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import Field

from moonx_pipeline.gateway.answers import OPEN, Model, json_response

router = APIRouter(tags=["health"])
readiness_router = APIRouter(tags=["health"])


class Live(Model):
    """The process answers."""

    status: Literal["live"]


class Dependency(Model):
    """A part that the gateway stands on."""

    ok: bool
    needed: bool = Field(description="Whether the gateway is not ready without it.")
    latencyMs: float
    error: str | None


class Readiness(Model):
    """Whether requests can be served, and what each part says."""

    status: Literal["ready", "not_ready"]
    dependencies: dict[str, Dependency]


@router.get("/health/live", response_model=Live, openapi_extra=OPEN)
async def live() -> Response:
    """Whether the process lives; it asks nobody else."""
    return json_response({"status": "live"})


@readiness_router.get(
    "/health/ready", response_model=Readiness, responses={503: {"model": Readiness}}, openapi_extra=OPEN
)
async def ready(request: Request) -> Response:
    """Whether what the gateway needs answers: 503 where it does not."""
    found = await request.app.state.health.read()
    return json_response(found, status=200 if found["status"] == "ready" else 503)
