"""What people are told of failures: nothing that names providers, settings, commands or hosts."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from moonx_pipeline.domain import reasons
from moonx_pipeline.domain.reasons import Reason
from moonx_pipeline.gateway.portfolio_models import ReasonCode
from moonx_pipeline.views.people import (
    chain_sentence,
    event_for_people,
    operation_detail_for_people,
    portfolio_for_people,
    status_for_people,
    sync_sentence,
)

OPERATORS = "alchemy:1 refused the key sekret-key: run 'moonx breaker reset alchemy:1' on host-7."


def test_each_code_of_a_chain_and_of_a_sync_has_words() -> None:
    codes = {reason.code for reason in vars(reasons).values() if isinstance(reason, Reason)}

    assert {chain_sentence(code) for code in get_args(ReasonCode) if code != "other"}.isdisjoint({chain_sentence(None)})
    unnamed = {code for code in codes if sync_sentence(code) == sync_sentence(None)}
    assert unnamed == {"bad_trigger", "already_ended", "request_taken", "internal_error"}


def test_a_portfolio_tells_why_by_its_code_and_keeps_what_a_source_can_not_know() -> None:
    chains = [
        {"chainId": 1, "error": OPERATORS, "errorCode": "key_rejected"},
        {"chainId": 10, "error": OPERATORS, "errorCode": "other"},
        {"chainId": 137, "error": "Only tokens that were asked for.", "errorCode": None},
    ]

    told = [chain["error"] for chain in portfolio_for_people({"chains": chains})["chains"]]

    assert told == ["It does not let us ask.", "It could not be read.", "Only tokens that were asked for."]


def test_a_sync_tells_neither_its_worker_nor_the_words_of_providers() -> None:
    data = {
        "errorCode": "no_chain_read",
        "errorMessage": OPERATORS,
        "workerId": "host-7:123",
        "chains": [{"reason": OPERATORS, "code": "banned"}, {"reason": OPERATORS, "code": None}, {"reason": None}],
    }

    told = operation_detail_for_people(data)

    assert (told["errorMessage"], told["workerId"]) == ("No chain answered.", None)
    assert [chain["reason"] for chain in told["chains"]] == ["It does not let us ask.", "It could not be read.", None]
    status = status_for_people({"lastError": {"message": OPERATORS, "at": "now"}})
    assert status["lastError"] == {"message": "The last sync did not read everything.", "at": "now"}
    assert status_for_people({"lastError": None}) == {"lastError": None}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("sync_failed", {"error": {"code": "no_chain_read", "message": OPERATORS, "retryAt": None}}),
        ("sync_completed", {"failedChains": [{"chainId": 1, "reason": OPERATORS, "code": "timeout"}]}),
        ("sync_progress", {"chainId": 1, "reason": OPERATORS, "code": "timeout"}),
    ],
)
def test_a_live_event_has_the_same_members_in_other_words(name: str, data: dict[str, Any]) -> None:
    told = event_for_people(name, data)

    assert told.keys() == data.keys()
    assert "sekret" not in str(told)


@pytest.mark.parametrize(
    "kind",
    [
        "circuit_breaker_open",
        "circuit_breaker_closed",
        "provider_key_rejected",
        "provider_quota_exhausted",
        "outbox_lagging",
        "sync_worker_lost",
        "balances_differ",
        "one_of_tomorrow",
    ],
)
@pytest.mark.parametrize("service", ["alchemy:1", "rpc:137", "alchemy", "binance", "user:ann", "host-7:123"])
def test_an_alert_keeps_its_kind_and_severity_and_loses_advice(kind: str, service: str) -> None:
    data = {"alertType": kind, "message": OPERATORS, "severity": "critical", "service": service}

    told = event_for_people("system_alert", data)

    assert (told["alertType"], told["severity"], told.keys()) == (kind, "critical", data.keys())
    assert not any(word in told["message"] for word in ("moonx", "alchemy", "host", "sekret"))
