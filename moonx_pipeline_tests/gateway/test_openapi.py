"""The API against its own description: whatever is sent, no answer is a crash and none is undocumented."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from moonx_pipeline.gateway.app import describe_api
from moonx_pipeline_tests.fixtures.gateway import GatewayProcess, token_of

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
_EXAMPLES = 20


OPERATIONS = [found.ok() for found in schemathesis.openapi.from_dict(describe_api()).get_all_operations()]


@pytest.mark.parametrize("role", ["user", "admin"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_whatever_is_sent_is_answered_as_it_is_described(
    gateway: GatewayProcess, operation: APIOperation, role: str
) -> None:
    user_id = gateway.register(f"fuzzed-{role}", "0x" + "e5" * 20)
    headers = {"Authorization": f"Bearer {token_of(user_id, role=role)}"}

    @given(case=operation.as_strategy(GenerationMode.POSITIVE) | operation.as_strategy(GenerationMode.NEGATIVE))
    @settings(max_examples=_EXAMPLES, suppress_health_check=list(HealthCheck))
    def is_as_described(case: Case) -> None:
        case.call_and_validate(base_url=gateway.url, headers=headers, checks=CHECKS)

    is_as_described()


def test_every_reference_of_the_description_leads_to_a_part_of_it() -> None:
    described = describe_api()

    assert described["servers"] == [{"url": "/"}]
    references = set(re.findall(r'"\$ref": "([^"]*)"', json.dumps(described)))
    assert references
    for reference in references:
        assert reference.startswith("#/")
        found: Any = described
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]


def test_it_says_where_amounts_are_texts_and_where_they_are_numbers() -> None:
    said = describe_api()["info"]["description"]

    assert "Decimals are strings" in said
    assert "Socket.IO" in said
    assert "numbers with all their digits, more than a double has" in " ".join(said.split())


def test_only_routes_for_browsers_without_a_session_and_monitors_take_no_token() -> None:
    open_paths = {
        path
        for path, methods in describe_api()["paths"].items()
        if any(o.get("security") == [] for o in methods.values())
    }

    assert open_paths == {
        "/health/live", "/health/ready", "/api/v1/webhooks/alchemy", "/api/v1/logos/{chain_id}/{token_address}",
        "/api/v1/session",
    }  # fmt: skip


def test_every_route_of_the_contract_is_described() -> None:
    described = {f"{method.upper()} {path}" for path, methods in describe_api()["paths"].items() for method in methods}

    assert described >= {
        "POST /api/v1/sync/trigger", "GET /api/v1/sync/status", "GET /api/v1/sync/operations",
        "GET /api/v1/sync/operations/{operation_id}", "DELETE /api/v1/sync/operations/{operation_id}",
        "GET /api/v1/portfolio", "GET /api/v1/portfolio/holdings", "GET /api/v1/portfolio/quick",
        "GET /api/v1/portfolio/history", "GET /api/v1/portfolio/explain",
        "POST /api/v1/portfolio/refresh", "GET /api/v1/portfolio.csv",
        "GET /api/v1/wallets", "PUT /api/v1/wallets", "POST /api/v1/webhooks/alchemy", "GET /api/v1/sync/queue",
        "POST /api/v1/sync/bulk", "PUT /api/v1/sync/pause", "GET /api/v1/sync/stats", "GET /api/v1/breakers",
        "POST /api/v1/breakers/{key}/reset", "GET /health/live", "GET /health/ready",
    }  # fmt: skip
