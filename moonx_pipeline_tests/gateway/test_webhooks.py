"""Alchemy's webhook: signed, fresh, and taken once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from moonx_pipeline_tests.fixtures.gateway import GatewayProcess, running_gateway, token_of
from moonx_pipeline_tests.support.webhook_deliveries import (
    a_user,
    activity,
    deliver,
    delivery,
    forget_networks,
    is_due,
    networks,
    signature_of,
)


@pytest.fixture
def ann(gateway: GatewayProcess) -> tuple[str, str]:
    """A user who is not due for an hour, and their wallet."""
    return a_user(gateway)


def test_users_whose_wallets_moved_are_due_now_once_a_delivery(gateway: GatewayProcess, ann: tuple[str, str]) -> None:
    user_id, wallet = ann
    body = delivery(wallet.upper().replace("X", "x"))

    assert deliver(gateway, body).json()["data"] == {"usersDue": 1}
    assert is_due(gateway, user_id)
    again = deliver(gateway, body)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "replayed")


@pytest.mark.parametrize("signature", ["", "0" * 64, "é", "not hex"])
def test_what_is_not_signed_by_the_key_changes_nothing(
    gateway: GatewayProcess, ann: tuple[str, str], signature: str
) -> None:
    body = delivery(ann[1])

    answer = deliver(gateway, body, signature=signature.encode().decode("latin-1"))
    other_key = deliver(gateway, body, key="another key")
    changed = deliver(gateway, body + b" ", signature=signature_of(body))

    assert {answer.status_code, other_key.status_code, changed.status_code} == {401}
    assert not is_due(gateway, ann[0])


@pytest.mark.parametrize("age", [timedelta(hours=25), timedelta(minutes=-10)])
def test_a_delivery_of_long_ago_is_a_replay(gateway: GatewayProcess, ann: tuple[str, str], age: timedelta) -> None:
    answer = deliver(gateway, delivery(ann[1], age=age))

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "replayed")
    assert not is_due(gateway, ann[0])


def test_a_signed_body_that_can_not_be_read_is_said_to_be_so(gateway: GatewayProcess) -> None:
    odd = [delivery("0x", createdAt="yesterday"), delivery("0x", id=""), delivery("0x", id="a\0b")]
    for body in (b"", b"{", b"[]", *odd):
        answer = deliver(gateway, body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("address", ["0x\0", "\0", "0x" + "e" * 39 + "\0"])
def test_an_address_that_is_none_makes_nobody_due(gateway: GatewayProcess, ann: tuple[str, str], address: str) -> None:
    assert deliver(gateway, delivery(address)).json()["data"] == {"usersDue": 0}
    assert not is_due(gateway, ann[0])


def test_the_notice_of_an_exhausted_plan_is_taken_without_anybody_being_due(gateway: GatewayProcess) -> None:
    answer = deliver(gateway, delivery("0x", event={"error": "Monthly capacity limit exceeded."}))

    assert answer.json()["data"] == {"usersDue": 0}


def test_a_repeated_delivery_costs_the_database_nothing(gateway: GatewayProcess, ann: tuple[str, str]) -> None:
    body = delivery(ann[1])
    assert deliver(gateway, body).status_code == 200

    with gateway.engine.begin() as connection:  # the gateway would wait for the table, were it to look there
        connection.exec_driver_sql("LOCK TABLE webhook_deliveries IN ACCESS EXCLUSIVE MODE")
        again = deliver(gateway, body)

    assert (again.status_code, again.json()["error"]["code"]) == (409, "replayed")


def test_a_delivery_that_another_gateway_took_is_a_replay(gateway: GatewayProcess, ann: tuple[str, str]) -> None:
    name = f"whevt_{uuid4()}"
    with gateway.engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO webhook_deliveries (id) VALUES (%s)", (name,))
    forget_networks(gateway.engine)

    answer = deliver(gateway, delivery(ann[1], id=name))

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "replayed")
    assert not is_due(gateway, ann[0])
    assert networks(gateway.engine) == {}


def test_an_unreadable_transfer_leaves_the_others_and_the_webhook_unreliable(
    gateway: GatewayProcess, ann: tuple[str, str]
) -> None:
    assert deliver(gateway, delivery(ann[1], network="ARB_MAINNET")).status_code == 200
    assert deliver(gateway, delivery(ann[1], network="BASE_MAINNET")).status_code == 200

    bob, wallet = a_user(gateway)
    odd = [{"fromAddress": 5}, None, {"toAddress": "nobody"}, activity(wallet)]
    answer = deliver(gateway, delivery("", event={"network": "ARB_MAINNET", "activity": odd}))

    assert answer.json()["data"] == {"usersDue": 1}
    assert is_due(gateway, bob)
    alive = networks(gateway.engine)
    assert (42161 in alive, 8453 in alive) == (False, True)


def test_any_number_of_bad_signatures_leaves_the_good_one_served(
    gateway: GatewayProcess, ann: tuple[str, str], tmp_path: Path
) -> None:
    user_id, wallet = ann
    with running_gateway(gateway.environment["DATABASE_URL"], tmp_path, RATE_LIMIT_MAX_REQUESTS="3") as narrow:
        body = delivery(wallet)
        refused = [deliver(narrow, body, key="of another webhook") for _ in range(8)]
        assert [answer.status_code for answer in refused] == [401] * 3 + [429] * 5
        assert int(refused[-1].headers["Retry-After"]) >= 1

        # Nor is anybody else's request from there refused: neither the users' nor one whose token is missing.
        assert narrow.ask("GET", "/api/v1/wallets", token_of(user_id)).status_code == 200
        assert narrow.ask("GET", "/api/v1/wallets").status_code == 401
        for _ in range(5):
            narrow.ask("GET", "/api/v1/wallets")

        assert deliver(narrow, body).json()["data"] == {"usersDue": 1}
        assert deliver(narrow, body, key="of another webhook").status_code == 429
    assert is_due(gateway, user_id)
