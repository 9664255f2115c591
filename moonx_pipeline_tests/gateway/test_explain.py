"""The evidence of a portfolio by HTTP: of each position, of the part that is asked for, and of a sync of before."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from uuid import uuid4

import pytest

from moonx_pipeline.domain.chains import NATIVE_TOKEN
from moonx_pipeline.gateway.explain_models import Explanation
from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.tokens import TOKENS
from moonx_pipeline.simulator.world import PLAIN_WALLET
from moonx_pipeline_tests.fixtures.gateway import GatewayProcess, token_of
from moonx_pipeline_tests.support.gateway_syncs import sync


@pytest.fixture
def ann(gateway: GatewayProcess, settings: Settings) -> str:
    user_id = gateway.register(f"ann-{uuid4()}", PLAIN_WALLET)
    sync(gateway, settings, user_id)
    return user_id


def place(one: dict) -> tuple[str, int, str]:
    return one["walletAddress"], one["chainId"], one["tokenAddress"]


def test_each_position_is_explained_by_the_price_and_reason_of_the_portfolio(gateway: GatewayProcess, ann: str) -> None:
    portfolio = gateway.get("/portfolio", ann, includeSpam=True)

    explained = gateway.get("/portfolio/explain", ann)

    Explanation.model_validate_json(json.dumps(explained), strict=True)
    times = re.findall(r'"(?:at|priceAt|readAt|balanceAt)": "([^"]+)"', json.dumps(explained))
    assert times
    assert [time for time in times if not time.endswith("Z")] == []
    assert (explained["version"], explained["totalValueUsd"]) == (portfolio["version"], portfolio["totalValueUsd"])
    positions = {place(one): one for one in explained["positions"]}
    tokens = {(one["chainId"], one["tokenAddress"]): one for one in explained["tokens"]}
    assert positions.keys() == {place(one) for one in portfolio["positions"]}
    for held in portfolio["positions"]:
        position, token = positions[place(held)], tokens[held["chainId"], held["tokenAddress"]]
        for name in ("balance", "amount", "valueUsd", "isCounted", "notCountedReason", "spamReasons", "flags"):
            assert position[name] == held[name], (name, held)
        price = token["price"]
        assert (price and (price["usd"], price["source"])) == (
            held["priceUsd"] and (held["priceUsd"], held["priceSource"])
        )
        chosen = [(quote["source"], quote["priceUsd"]) for quote in token["quotes"] if quote["use"] == "chosen"]
        assert chosen == ([(price["source"], price["usd"])] if price else [])
        assert all(quote["why"] for quote in token["quotes"])


def test_one_position_is_explained_alone(gateway: GatewayProcess, ann: str) -> None:
    one = {"walletAddress": PLAIN_WALLET, "chainId": 1, "tokenAddress": NATIVE_TOKEN}

    explained = gateway.get("/portfolio/explain", ann, **one)

    assert [place(p) for p in explained["positions"]] == [(PLAIN_WALLET.lower(), 1, NATIVE_TOKEN)]
    assert [(t["chainId"], t["tokenAddress"]) for t in explained["tokens"]] == [(1, NATIVE_TOKEN)]
    assert explained["totalValueUsd"] == gateway.get("/portfolio", ann)["totalValueUsd"]
    assert gateway.get("/portfolio/explain", ann, chainId=31337)["positions"] == []


def test_a_sync_of_before_is_explained_by_what_it_was_valued_by(
    gateway: GatewayProcess, settings: Settings, simulator: RunningSimulator
) -> None:
    usdc = next(token for token in TOKENS.values() if (token.chain_id, token.symbol) == (8453, "USDC"))
    wallet = "0x" + "5e" * 20
    user_id = gateway.register(f"bob-{uuid4()}", wallet)
    amounts = []
    for held in ("10", "25"):
        simulator.simulation.world.set_balance(wallet, usdc, int(Decimal(held).scaleb(usdc.decimals or 0)))
        sync(gateway, settings, user_id)

    later, earlier = gateway.get("/sync/operations", user_id)
    for operation in (earlier, later):
        explained = gateway.get("/portfolio/explain", user_id, syncOperationId=operation["syncOperationId"])
        assert explained["syncOperationId"] == operation["syncOperationId"]
        assert explained["totalValueUsd"] == operation["totalValueUsd"]
        amounts += [p["amount"] for p in explained["positions"] if p["tokenAddress"] == usdc.address]

    assert amounts == ["10", "25"]
    assert gateway.get("/portfolio/explain", user_id)["syncOperationId"] == later["syncOperationId"]


def test_nobody_is_told_of_another_users_evidence(gateway: GatewayProcess, ann: str) -> None:
    (operation,) = gateway.get("/sync/operations", ann)
    stranger = gateway.register(f"eve-{uuid4()}", PLAIN_WALLET)

    for parameters in ({}, {"syncOperationId": operation["syncOperationId"]}):
        answer = gateway.ask("GET", "/api/v1/portfolio/explain", token_of(stranger), params=parameters)

        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "parameters", [{"walletAddress": "0x12"}, {"tokenAddress": "USDC"}, {"chainId": "base"}, {"syncOperationId": "1"}]
)
def test_a_parameter_that_can_not_be_used_is_named(gateway: GatewayProcess, parameters: dict[str, str]) -> None:
    answer = gateway.ask("GET", "/api/v1/portfolio/explain", token_of("ann"), params=parameters)

    assert answer.status_code == 422
    assert next(iter(parameters)) in answer.json()["error"]["message"]
