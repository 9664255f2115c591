"""Turns every error into a problem in the envelope, without internals."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from moonx_pipeline.gateway.answers import ApiError, problem

_CODES: Final = {400: "invalid_request", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}
_SENTENCES: Final = {
    400: "The body can't be read: send JSON in UTF-8.",
    404: "There is nothing at this address: /docs lists the routes.",
    405: "This route has no such method.",
    413: "The body is too large: GATEWAY_MAX_BODY_BYTES says how large it may be.",
}
_MOST_DETAILS: Final = 20
_LONGEST_NAME: Final = 60
_WHERE: Final = frozenset({"body", "query", "path", "header"})
_log = structlog.get_logger("gateway")


def answer_problems(app: FastAPI) -> None:
    """Makes an app answer every error in the envelope."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    for kind in (OperationalError, InterfaceError, PoolTimeout):
        app.add_exception_handler(kind, _database_away)
    app.add_exception_handler(Exception, _unexpected)


def request_id_of(request: Request) -> str | None:
    """A request's id in the log."""
    found: str | None = request.scope.get("request_id")
    return found


async def _api_error(request: Request, error: Any) -> Response:
    return problem(
        error.status,
        error.code,
        error.message,
        request_id=request_id_of(request),
        retry_after=error.retry_after,
        **error.extra,
    )


async def _invalid(request: Request, error: Any) -> Response:
    problems = error.errors()
    if any(item["type"] == "json_invalid" for item in problems):
        return problem(400, _CODES[400], _SENTENCES[400], request_id=request_id_of(request))
    details = [{"field": _field(item["loc"]), "message": _sentence(item["msg"])} for item in problems[:_MOST_DETAILS]]
    message = "; ".join(f"{item['field']}: {item['message']}" for item in details[:5])
    return problem(422, "invalid_request", message, request_id=request_id_of(request), details=details)


def _field(place: tuple[Any, ...]) -> str:
    # A name that nobody knows is the caller's own text.
    parts = [str(part)[:_LONGEST_NAME] for part in place]
    return ".".join(parts[1:] if parts[0] in _WHERE and len(parts) > 1 else parts)


def _sentence(text: str) -> str:
    return text.removeprefix("Value error, ").removesuffix(".")


async def _http(request: Request, error: Any) -> Response:
    code = _CODES.get(error.status_code, "error")
    text = _SENTENCES.get(error.status_code, str(error.detail))
    answer = problem(error.status_code, code, text, request_id=request_id_of(request))
    answer.headers.update(error.headers or {})
    if error.status_code == 405 and (methods := _methods_at(request)):
        answer.headers["Allow"] = ", ".join(methods)
    return answer


def _methods_at(request: Request) -> list[str]:
    """The methods of all routes at a path; the framework names those of the first one only."""
    app: FastAPI = request.app
    for template, operations in app.openapi()["paths"].items():
        if compile_path(template)[0].fullmatch(request.url.path):
            return sorted(method.upper() for method in operations)
    return []


async def _database_away(request: Request, error: Any) -> Response:
    reason = str(getattr(error, "orig", None) or error).splitlines()[0]
    _log.error("the database is away", reason=reason, path=request.url.path, request_id=request_id_of(request))
    return problem(
        503,
        "unavailable",
        "The database can't be used for the moment: try again shortly.",
        request_id=request_id_of(request),
        retry_after=timedelta(seconds=5),
    )


async def _unexpected(request: Request, error: Any) -> Response:
    # The outermost middleware raises it again for the server's log; this is only what the caller sees.
    _log.error("a request failed", path=request.url.path, request_id=request_id_of(request), exc_info=error)
    return problem(
        500,
        "internal_error",
        "Something went wrong here. Nothing that was asked for is lost; the log has it under the request's id.",
        request_id=request_id_of(request),
    )
