"""Signing the page in by a link: a code that is good once, for a minute, stands for the token."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import Field

from moonx_pipeline.domain.events import rfc3339
from moonx_pipeline.gateway.answers import OPEN, SIGNED_IN, WITH_BODY, Answer, ApiError, Model, Time, answer, documented
from moonx_pipeline.gateway.callers import Gateway, Shared, SignedIn, address_of
from moonx_pipeline.storage.protection.sign_in_codes import issue_code, redeem_code

router = APIRouter(prefix="/session", tags=["session"])


class SignInCode(Model):
    """What signs the page in as the caller, in a link that ends in `/#code=…`."""

    code: str = Field(examples=["3q2-7wAAAAAAAAAAAAAAAAAAAAA"])
    expiresAt: Time


class CodeBody(Model):
    """The code of a link."""

    code: str = Field(pattern="^[A-Za-z0-9_-]{1,64}$")


class Session(Model):
    """What requests are sent with from now on."""

    token: str = Field(description="The one that the code stood for.")


@router.post("/codes", status_code=201, response_model=Answer[SignInCode], responses=SIGNED_IN)
def post_code(request: Request, gateway: Shared, _caller: SignedIn) -> Response:
    """Makes a code that stands for the token of this request: good once, for a minute.

    A site that signs people in asks for it, and sends the browser on to `/#code=…`: so the token itself is in no
    address, and a link that is found later opens nothing.
    """
    token = request.headers["Authorization"].partition(" ")[2]
    with gateway.engine.begin() as connection:
        code, ends = issue_code(connection, token)
    return answer({"code": code, "expiresAt": rfc3339(ends)}, status=201)


@router.post(
    "",
    response_model=Answer[Session],
    responses={**WITH_BODY, **documented(401, 422, 429, 503)},
    openapi_extra=OPEN,
)
def post_session(request: Request, gateway: Shared, body: CodeBody) -> Response:
    """Takes the token that a code stands for. The code is used up by it."""
    with gateway.engine.begin() as connection:
        token = redeem_code(connection, body.code)
    if token is None:
        gateway.limits.count_refused(address_of(request))
        raise ApiError(401, "code_refused", _refusal(gateway))
    return answer({"token": token})


def _refusal(gateway: Gateway) -> str:
    used = "A link signs in once, within a minute; this one is used up, or older than that."
    if gateway.settings.service.env == "production":
        return f"{used} Open it again from where you signed in."
    return f"{used} 'moonx token USER --link' prints a new one."
