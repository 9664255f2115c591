"""What the fixtures of the page answer is what the API describes: the page is not tried on a server that is none."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from pydantic import TypeAdapter

from moonx_pipeline.gateway.explain_models import Explanation
from moonx_pipeline.gateway.models import History, Operation, Portfolio, SyncStatus, Wallets
from moonx_pipeline_tests.page.states import FIXTURES, NAMES

ROUTES: Final[dict[str, Any]] = {
    "GET /api/v1/portfolio": Portfolio,
    "GET /api/v1/portfolio?includeSpam=true": Portfolio,
    "GET /api/v1/portfolio/history?days=30": History,
    "GET /api/v1/portfolio/explain": Explanation,
    "GET /api/v1/sync/status": SyncStatus,
    "GET /api/v1/sync/operations": list[Operation],
    "GET /api/v1/wallets": Wallets,
}


@pytest.mark.parametrize("route", ROUTES)
def test_a_fixture_answers_as_the_api_does(route: str) -> None:
    replies = [json.loads((FIXTURES / f"{name}.json").read_text())["replies"].get(route) for name in NAMES]
    answered = [reply["body"]["data"] for reply in replies if isinstance(reply, dict) and reply["status"] == 200]

    assert answered
    for data in answered:
        TypeAdapter(ROUTES[route]).validate_json(json.dumps(data), strict=True)


def test_what_the_browser_has_kept_is_a_portfolio() -> None:
    kept = [json.loads((FIXTURES / f"{name}.json").read_text())["kept"] for name in NAMES]

    assert any(kept)
    for portfolio in filter(None, kept):
        Portfolio.model_validate_json(json.dumps(portfolio["portfolio"]), strict=True)
