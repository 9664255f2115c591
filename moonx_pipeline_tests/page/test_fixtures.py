"""The fixtures of the page answer as the API describes itself: a state that no server can answer proves nothing."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatch
from typing import Any, Final, get_args

import jsonschema
import pytest

from moonx_pipeline.gateway.app import describe_api
from moonx_pipeline.gateway.portfolio_models import ReasonCode
from moonx_pipeline_tests.page.generated import OPENAPI, openapi_text
from moonx_pipeline_tests.page.states import FIXTURES, NAMES

_API: Final = describe_api()
_FORMATS: Final = jsonschema.Draft202012Validator.FORMAT_CHECKER


def fixture(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((FIXTURES / f"{name}.json").read_text())
    return read


def described(method: str, path: str, status: int) -> dict[str, Any]:
    """What OpenAPI says of the answers of a route, by media type."""
    for template, methods in _API["paths"].items():
        if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), path) and method.lower() in methods:
            # A fault of ours is answered in the same envelope by every route, and described by none.
            status = 503 if status == 500 else status
            content: dict[str, Any] = methods[method.lower()]["responses"][str(status)]["content"]
            return content
    raise AssertionError(f"The API has no route {method} {path}")


def validate(data: Any, schema: dict[str, Any]) -> None:
    """Validates data of the API; references lead into its components."""
    whole = {**schema, "components": _API["components"]}
    jsonschema.Draft202012Validator(whole, format_checker=_FORMATS).validate(data)


def replies_of(name: str) -> dict[str, Any]:
    """What a fixture answers itself: others are like another one, or of a server that says nothing."""
    return {route: reply for route, reply in fixture(name)["replies"].items() if isinstance(reply, dict)}


@pytest.mark.parametrize("name", [name for name in NAMES if replies_of(name)])
def test_fixture_answers_every_route_as_the_api_describes_it(name: str) -> None:
    replies = replies_of(name)

    assert replies
    for route, reply in replies.items():
        method, address = ("GET", "/api/v1/portfolio") if route == "*" else route.split(" ")
        content = described(method, address.split("?")[0], reply["status"])
        media_type = reply.get("headers", {}).get("Content-Type", "application/json")
        if media_type == "application/json":
            validate(reply["body"], content[media_type]["schema"])
        else:
            assert isinstance(reply["body"], str)
            assert any(fnmatch(media_type, pattern) for pattern in content)


def test_fixtures_answer_all_that_the_page_asks() -> None:
    answered = {route.split("?")[0] for name in NAMES for route in fixture(name)["replies"]}

    assert answered >= {
        "GET /api/v1/portfolio", "GET /api/v1/portfolio/history", "GET /api/v1/portfolio/explain",
        "GET /api/v1/portfolio.csv", "GET /api/v1/sync/status", "GET /api/v1/sync/operations",
        "POST /api/v1/sync/trigger", "GET /api/v1/wallets", "GET /api/v1/sync/queue", "GET /api/v1/breakers",
        "GET /api/v1/sync/stats", "PUT /api/v1/sync/pause", "GET /health/ready",
    }  # fmt: skip


def test_portfolio_that_a_browser_has_kept_is_one_of_the_api() -> None:
    kept = [found["portfolio"] for name in NAMES if (found := fixture(name)["kept"])]

    assert kept
    for portfolio in kept:
        validate(portfolio, {"$ref": "#/components/schemas/Portfolio"})


def test_progress_in_the_fixtures_has_codes_that_the_api_knows() -> None:
    events = [event for name in NAMES for event in fixture(name)["events"] if event["name"] == "sync_progress"]

    codes = {event["data"]["code"] for event in events}
    assert codes - {None}
    assert codes - {None} <= set(get_args(ReasonCode))


def test_description_that_the_pages_types_are_made_of_is_up_to_date() -> None:
    assert OPENAPI.read_text() == openapi_text(), f"{OPENAPI} is old: make api-types"
