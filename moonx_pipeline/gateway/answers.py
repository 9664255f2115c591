"""The API's response envelope, and errors that say what happened and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask

from moonx_pipeline.clock import utc_now
from moonx_pipeline.domain.events import rfc3339

T = TypeVar("T")

DecimalText = Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$", description="In plain notation, exact.")]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, description="RFC 3339 in UTC.")]
Address = Annotated[str, Field(pattern="^0x[0-9a-f]{40}$")]

NO_NUL = r"^[^\x00]*$"
"""The pattern of texts that PostgreSQL can store."""

_encode = msgspec.json.Encoder().encode


class Model(BaseModel):
    """A shape on the wire."""

    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel, Generic[T]):
    """What a route answers that did what it was asked."""

    success: Literal[True]
    data: T
    message: str | None = Field(description="For people, where there is something to add.")
    timestamp: Time


class FieldProblem(Model):
    """A field that can't be used."""

    field: str
    message: str


class ProblemError(Model):
    """What went wrong."""

    code: str = Field(examples=["unauthorized", "invalid_request", "rate_limited", "not_found"])
    message: str = Field(description="What happened and what to do, for people.")
    requestId: str | None = Field(default=None, description="Names this request in the log.")
    details: list[FieldProblem] | None = Field(default=None, description="Of `invalid_request`.")
    remainingRequests: int | None = Field(default=None, description="Of `rate_limited`.")
    resetTime: Time | None = Field(default=None, description="Of `rate_limited`: when one may ask again.")


class Problem(Model):
    """What a route answers that did not do what it was asked."""

    success: Literal[False]
    error: ProblemError
    timestamp: Time


class ApiError(Exception):
    """Ends a request with a problem.

    Attributes:
        status: HTTP status.
        code: The error's code, for programs.
        message: The error's text, for people.
        retry_after: When the same request may succeed.
        extra: More members of the error.
    """

    def __init__(
        self, status: int, code: str, message: str, *, retry_after: timedelta | None = None, **extra: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after
        self.extra = extra


def not_found(what: str) -> ApiError:
    """A 404, whether the thing does not exist or belongs to another user."""
    return ApiError(404, "not_found", what)


def json_response(
    content: Any,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    background: BackgroundTask | None = None,
) -> Response:
    """A JSON response that nobody caches unless a header allows it."""
    return Response(
        _encode(content),
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
        background=background,
    )


def answer(
    data: Any,
    message: str | None = None,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    background: BackgroundTask | None = None,
) -> Response:
    """Data in the envelope, written as it is: the models describe it, and a test compares the two."""
    content = {"success": True, "data": data, "message": message, "timestamp": rfc3339(utc_now())}
    return json_response(content, status=status, headers=headers, background=background)


def problem(
    status: int,
    code: str,
    message: str,
    *,
    request_id: str | None = None,
    retry_after: timedelta | None = None,
    **extra: Any,
) -> Response:
    """An error in the envelope."""
    error = {"code": code, "message": message, "requestId": request_id, **extra}
    headers = {}
    if retry_after is not None:
        headers["Retry-After"] = str(max(1, -int(-retry_after.total_seconds() // 1)))
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    content = {"success": False, "error": error, "timestamp": rfc3339(utc_now())}
    return json_response(content, status=status, headers=headers)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """A route's possible problems, for OpenAPI."""
    return {status: {"model": Problem, "description": _MEANINGS[status]} for status in statuses}


_MEANINGS = {
    400: "The request can't be read.",
    401: "No token, or one that is not accepted.",
    403: "The token is not an administrator's.",
    404: "There is no such thing, or it is another user's.",
    409: "Not possible as things are; the message says why.",
    412: "It was changed meanwhile: `If-Match` names another version.",
    413: "The body is too large.",
    422: "A field can't be used; `details` says which and why.",
    429: "Asked too often; `Retry-After` says when to ask again.",
    503: "The database, or what tokens are checked by, is away for the moment.",
}
SIGNED_IN = documented(401, 422, 429, 503)
"""Problems of every route that needs a token."""

OPEN: dict[str, Any] = {"security": []}
"""Says in OpenAPI that a route takes no token."""

WITH_BODY = documented(400, 413)
"""Problems of routes that read a body."""
