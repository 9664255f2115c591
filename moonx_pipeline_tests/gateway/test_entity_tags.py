"""The portfolio's tag changes with all that an answer says, and never stands for two users."""

from __future__ import annotations

from uuid import uuid4

import pytest

from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import PLAIN_WALLET
from moonx_pipeline_tests.fixtures.gateway import GatewayProcess, token_of
from moonx_pipeline_tests.gateway.live.clients import connected
from moonx_pipeline_tests.support.gateway_syncs import sync


@pytest.fixture
def ann(gateway: GatewayProcess, settings: Settings) -> str:
    """A user whose portfolio was read a moment ago."""
    user_id = gateway.register(f"ann-{uuid4()}", PLAIN_WALLET)
    sync(gateway, settings, user_id)
    return user_id


def tag_of(gateway: GatewayProcess, user_id: str) -> str:
    return gateway.ask("GET", "/api/v1/portfolio", token_of(user_id)).headers["ETag"]


def status_with(gateway: GatewayProcess, user_id: str, tag: str) -> int:
    """What a cache is answered that has the answer of a tag."""
    headers = {"If-None-Match": tag}
    return gateway.ask("GET", "/api/v1/portfolio", token_of(user_id), headers=headers).status_code


def test_an_outage_of_all_chains_changes_the_tag_and_is_told_to_who_comes_back(
    gateway: GatewayProcess, settings: Settings, simulator: RunningSimulator, ann: str
) -> None:
    before = tag_of(gateway, ann)
    with connected(gateway, ann) as listening:
        simulator.fault("outage")
        sync(gateway, settings, ann)
        live = listening.next("portfolio_update")["data"]

    assert status_with(gateway, ann, before) == 200
    data = gateway.get("/portfolio", ann)
    assert ({chain["status"] for chain in data["chains"]}, data["version"]) == ({"stale"}, 2)
    with connected(gateway, ann, last_version=1) as behind:
        caught_up = behind.next()["data"]
    assert caught_up["omitted"] == live["omitted"] == data["omitted"]
    assert (caught_up["version"], caught_up["totalValueUsd"]) == (2, live["totalValueUsd"])


def test_a_reading_that_changes_nothing_changes_the_tag_with_the_age(
    gateway: GatewayProcess, settings: Settings, ann: str
) -> None:
    before, as_of = tag_of(gateway, ann), gateway.get("/portfolio", ann)["asOf"]
    assert status_with(gateway, ann, before) == 304

    sync(gateway, settings, ann)

    data = gateway.get("/portfolio", ann)
    assert (data["version"], data["asOf"] > as_of) == (1, True)
    assert status_with(gateway, ann, before) == 200


def test_two_users_with_the_same_wallets_and_version_share_no_tag(
    gateway: GatewayProcess, settings: Settings, ann: str
) -> None:
    bob = gateway.register(f"bob-{uuid4()}", PLAIN_WALLET)
    sync(gateway, settings, bob)

    whole = gateway.ask("GET", "/api/v1/portfolio", token_of(ann))
    assert gateway.get("/portfolio", ann)["version"] == gateway.get("/portfolio", bob)["version"] == 1
    assert status_with(gateway, bob, whole.headers["ETag"]) == 200
    assert "Authorization" in whole.headers["Vary"]
    wallets = [gateway.ask("GET", "/api/v1/wallets", token_of(user)).headers["ETag"] for user in (ann, bob)]
    assert len(set(wallets)) == 2


def test_users_of_whom_nothing_is_known_share_no_tag(gateway: GatewayProcess) -> None:
    first, second = f"new-{uuid4()}", f"new-{uuid4()}"

    assert status_with(gateway, first, tag_of(gateway, first)) == 304
    assert status_with(gateway, second, tag_of(gateway, first)) == 200
