"""Dependencies of routes: the caller, and what all routes share."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import Engine

from moonx_pipeline.gateway.afterwards import Afterwards
from moonx_pipeline.gateway.answers import ApiError
from moonx_pipeline.gateway.auth import Caller, InvalidToken, TokenVerifier
from moonx_pipeline.gateway.deliveries import TakenDeliveries
from moonx_pipeline.gateway.limits import RequestLimits
from moonx_pipeline.gateway.live.sockets import LiveServer
from moonx_pipeline.gateway.published_keys import KeysUnavailable
from moonx_pipeline.settings import Settings
from moonx_pipeline.tracing import note

_bearer = HTTPBearer(
    auto_error=False, bearerFormat="JWT", description="`sub` is the user; `role: admin` for operators."
)


@dataclass(frozen=True, slots=True)
class Gateway:
    """The parts that all routes share."""

    engine: Engine
    settings: Settings
    verifier: TokenVerifier
    limits: RequestLimits
    live: LiveServer
    afterwards: Afterwards = field(default_factory=Afterwards)
    deliveries: TakenDeliveries = field(default_factory=TakenDeliveries)

    def dagster_url(self, caller: Caller) -> str | None:
        """Where Dagster's pages are for a caller who may see them; in development that is everybody."""
        is_production = self.settings.service.env == "production"
        if is_production and not caller.is_admin:
            return None
        own = None if is_production else f"http://127.0.0.1:{self.settings.service.webserver_port}"
        return self.settings.gateway.dagster_url or own


async def _gateway(request: Request) -> Gateway:
    # Not a plain function: each of those waits for a thread.
    gateway: Gateway = request.app.state.gateway
    return gateway


Shared = Annotated[Gateway, Depends(_gateway)]


def address_of(request: Request) -> str:
    """The client's address; uvicorn has applied X-Forwarded-For if its sender is trusted."""
    return request.client.host if request.client else "unknown"


def _signed_in(
    request: Request, gateway: Shared, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Caller:
    try:
        caller = _caller(gateway, credentials)
    except ApiError as refusal:
        # A page whose session has ended guesses nothing.
        if refusal.status == 401 and refusal.code != "token_expired":
            gateway.limits.count_refused(address_of(request))
        raise
    gateway.limits.count_user(caller.user_id)
    note({"moonx.user": caller.user_id})
    return caller


def _caller(gateway: Gateway, credentials: HTTPAuthorizationCredentials | None) -> Caller:
    if credentials is None:
        raise ApiError(401, "unauthorized", "Send a token: 'Authorization: Bearer …'.")
    try:
        return gateway.verifier.verify(credentials.credentials)
    except InvalidToken as problem:
        raise ApiError(401, problem.code, str(problem)) from None
    except KeysUnavailable as problem:
        raise ApiError(503, "unavailable", str(problem), retry_after=timedelta(seconds=10)) from None


SignedIn = Annotated[Caller, Depends(_signed_in)]


def administrator(caller: SignedIn) -> Caller:
    """The caller, if they are an administrator.

    Raises:
        ApiError: 403, they are not.
    """
    if not caller.is_admin:
        raise ApiError(403, "forbidden", "This is for administrators: the token's 'role' must be 'admin'.")
    return caller


Administrator = Annotated[Caller, Depends(administrator)]
