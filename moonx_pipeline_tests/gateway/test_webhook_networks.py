"""A webhook speaks for its network: one signing key each, and nobody is told of the networks without one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from moonx_pipeline.providers.alchemy_networks import CHAIN_OF_WEBHOOK
from moonx_pipeline.settings import Settings
from moonx_pipeline.storage.syncs.webhooks import Webhooks, note_delivery
from moonx_pipeline_tests.fixtures.gateway import GatewayProcess, running_gateway
from moonx_pipeline_tests.support.webhook_deliveries import (
    a_user,
    activity,
    deliver,
    delivery,
    forget_networks,
    is_due,
    networks,
)

KEYS = {name: f"whsec_of_{name}" for name in ("ethereum", "polygon", "optimism", "arbitrum", "base")}
NETWORKS = {
    "ETH_MAINNET": ("ethereum", 1),
    "MATIC_MAINNET": ("polygon", 137),
    "POLYGON_MAINNET": ("polygon", 137),
    "OPT_MAINNET": ("optimism", 10),
    "ARB_MAINNET": ("arbitrum", 42161),
    "BASE_MAINNET": ("base", 8453),
}
# Of chains that are off by default, as Alchemy's description of webhooks names them.
MORE_NETWORKS = {"BNB_MAINNET": 56, "AVAX_MAINNET": 43114, "LINEA_MAINNET": 59144}
LIMIT = timedelta(minutes=10)


def key_settings(*chains: str) -> dict[str, str]:
    return {f"ALCHEMY_WEBHOOK_SIGNING_KEY_{chain.upper()}": KEYS[chain] for chain in chains}


@pytest.fixture(scope="module")
def five(gateway: GatewayProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway with a key for each network, and none without a chain."""
    settings = {"ALCHEMY_WEBHOOK_SIGNING_KEY": "", **key_settings(*KEYS)}
    folder = tmp_path_factory.mktemp("five")
    with running_gateway(gateway.environment["DATABASE_URL"], folder, **settings) as running:
        yield running


@pytest.fixture(scope="module")
def two(gateway: GatewayProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway with a key for Base and one without a chain, which a single webhook may use."""
    settings = {"ALCHEMY_WEBHOOK_ID": "wh_tests", **key_settings("base")}
    folder = tmp_path_factory.mktemp("two")
    with running_gateway(gateway.environment["DATABASE_URL"], folder, **settings) as running:
        yield running


@pytest.fixture(autouse=True)
def _nothing_delivered(gateway: GatewayProcess) -> None:
    forget_networks(gateway.engine)


@pytest.mark.parametrize("network", NETWORKS)
def test_each_of_five_keys_speaks_for_its_network_alone(five: GatewayProcess, network: str) -> None:
    chain, chain_id = NETWORKS[network]
    user_id, wallet = a_user(five)

    for other in KEYS.keys() - {chain}:
        answer = deliver(five, delivery(wallet, network=network), key=KEYS[other])
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
        assert network in answer.json()["error"]["message"]
    assert not is_due(five, user_id)
    assert networks(five.engine) == {}

    assert deliver(five, delivery(wallet, network=network), key=KEYS[chain]).json()["data"] == {"usersDue": 1}
    assert is_due(five, user_id)
    assert list(networks(five.engine)) == [chain_id]


def test_a_key_of_a_network_does_not_speak_for_one_that_is_not_read(five: GatewayProcess) -> None:
    user_id, wallet = a_user(five)

    assert deliver(five, delivery(wallet, network="ETH_SEPOLIA"), key=KEYS["ethereum"]).status_code == 401
    assert not is_due(five, user_id)


def test_the_key_without_a_chain_speaks_for_the_networks_that_its_deliveries_name(gateway: GatewayProcess) -> None:
    for network in ("OPT_MAINNET", "BASE_MAINNET"):
        user_id, wallet = a_user(gateway)
        assert deliver(gateway, delivery(wallet, network=network)).status_code == 200
        assert is_due(gateway, user_id)

    assert networks(gateway.engine).keys() == {10, 8453}


def test_the_named_webhook_is_the_one_without_a_chain(two: GatewayProcess) -> None:
    of_base = delivery(a_user(two)[1], network="BASE_MAINNET", webhookId="wh_of_base")
    unnamed = delivery(a_user(two)[1], network="ETH_MAINNET", webhookId="wh_of_nobody")

    assert deliver(two, of_base, key=KEYS["base"]).status_code == 200
    other = deliver(two, unnamed)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "other_webhook")
    assert deliver(two, delivery(a_user(two)[1], network="ETH_MAINNET")).status_code == 200
    assert networks(two.engine).keys() == {8453, 1}


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "NFT_ACTIVITY"},
        {"event": {"network": "ETH_MAINNET", "activity": []}},
        {"event": {"activity": [activity("0x" + "1" * 40)]}},
        {"event": {"network": "SOL_MAINNET", "activity": [activity("0x" + "1" * 40)]}},
    ],
)
def test_what_tells_of_no_transfer_on_a_network_is_no_sign_of_its_life(
    gateway: GatewayProcess, changes: dict[str, object]
) -> None:
    assert deliver(gateway, delivery("0x" + "1" * 40, network="ETH_MAINNET", **changes)).status_code == 200

    assert networks(gateway.engine) == {}


def test_a_late_delivery_counts_from_when_it_was_made(gateway: GatewayProcess) -> None:
    user_id, wallet = a_user(gateway)

    assert deliver(gateway, delivery(wallet, network="ETH_MAINNET", age=timedelta(hours=3))).status_code == 200

    assert is_due(gateway, user_id)
    last = networks(gateway.engine)[1].last_delivery_at
    assert timedelta(hours=2, minutes=59) < datetime.now(UTC) - last < timedelta(hours=3, minutes=1)


def test_an_exhausted_plan_ends_what_its_webhook_is_relied_on_for(five: GatewayProcess) -> None:
    for network, (chain, _) in NETWORKS.items():
        deliver(five, delivery(a_user(five)[1], network=network), key=KEYS[chain])
    assert len(networks(five.engine)) == 5

    notice = {"error": "Monthly capacity limit exceeded."}
    assert deliver(five, delivery("", event=notice), key=KEYS["polygon"]).json()["data"] == {"usersDue": 0}
    assert deliver(five, delivery("", event={"network": "ARB_MAINNET", **notice}), key=KEYS["arbitrum"]).ok

    assert networks(five.engine).keys() == {1, 10, 8453}
    assert "Monthly capacity limit exceeded." in five.log


def test_an_exhausted_plan_of_the_key_without_a_chain_may_be_of_any_network(gateway: GatewayProcess) -> None:
    for network in ("ETH_MAINNET", "BASE_MAINNET"):
        deliver(gateway, delivery(a_user(gateway)[1], network=network))

    assert deliver(gateway, delivery("", event={"error": "Monthly capacity limit exceeded."})).ok

    assert networks(gateway.engine) == {}


def note(engine: Engine, made_at: datetime, *, now: datetime | None = None, limit: timedelta = LIMIT) -> None:
    with engine.begin() as connection:
        note_delivery(connection, 10, made_at=made_at, now=now or made_at, quiet_limit=limit)


def test_deliveries_without_a_long_silence_are_one_life(engine: Engine) -> None:
    start = datetime(2026, 3, 2, 12, tzinfo=UTC)

    for minutes in (0, 9, 18, 27):
        note(engine, start + timedelta(minutes=minutes))
    assert networks(engine)[10] == (10, start, start + timedelta(minutes=27))

    # One that comes late neither goes back in time nor begins anew.
    note(engine, start + timedelta(minutes=20), now=start + timedelta(minutes=31))
    assert networks(engine)[10] == (10, start, start + timedelta(minutes=27))

    note(engine, start + timedelta(minutes=37))
    assert networks(engine)[10] == (10, *[start + timedelta(minutes=37)] * 2)

    # What was made before the silence was noticed does not hide that nobody was told anything in between.
    note(engine, start + timedelta(minutes=46), now=start + timedelta(minutes=50))
    assert networks(engine)[10] == (10, start + timedelta(minutes=50), start + timedelta(minutes=46))


def test_the_row_of_a_network_is_written_once_a_minute(engine: Engine) -> None:
    start = datetime(2026, 3, 2, 12, tzinfo=UTC)

    for seconds in (0, 20, 59):
        note(engine, start + timedelta(seconds=seconds))
        assert networks(engine)[10].last_delivery_at == start
    note(engine, start + timedelta(seconds=60))
    assert networks(engine)[10].last_delivery_at == start + timedelta(seconds=60)


def test_a_short_limit_is_written_as_often_as_it_needs(engine: Engine) -> None:
    start = datetime(2026, 3, 2, 12, tzinfo=UTC)

    for seconds in range(0, 30, 3):
        note(engine, start + timedelta(seconds=seconds), limit=timedelta(seconds=5))

    assert networks(engine)[10] == (10, start, start + timedelta(seconds=27))


def test_a_clock_ahead_of_ours_does_not_make_a_webhook_live_longer(engine: Engine) -> None:
    now = datetime(2026, 3, 2, 12, tzinfo=UTC)

    note(engine, now + timedelta(minutes=4), now=now)

    assert networks(engine)[10].last_delivery_at == now


def test_deliveries_are_known_by_alchemys_names_of_networks() -> None:
    named = {network: chain_id for network, (_, chain_id) in NETWORKS.items()} | MORE_NETWORKS

    assert {network: CHAIN_OF_WEBHOOK.get(network) for network in named} == named


@pytest.mark.parametrize(
    ("environment", "chain_ids"),
    [
        ({}, set()),
        (key_settings("base", "polygon"), {8453, 137}),
        ({"ALCHEMY_WEBHOOK_SIGNING_KEY": "whsec_of_one"}, {chain_id for _, chain_id in NETWORKS.values()}),
        # Only chains that are read, and of those only where a webhook tells of every movement.
        ({"CHAINS": "base", **key_settings("base", "polygon")}, {8453}),
        ({"CHAINS": "base,bnb,linea", "ALCHEMY_WEBHOOK_SIGNING_KEY": "whsec_of_one"}, {8453}),
    ],
)
def test_the_networks_that_may_be_relied_on_are_those_with_a_key(
    environment: dict[str, str], chain_ids: set[int]
) -> None:
    assert Webhooks.of(Settings.from_environment(environment)) == Webhooks(frozenset(chain_ids), LIMIT)
