"""Alchemy's webhook: signed, fresh, and taken once."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from moonx_pipeline.domain.events import rfc3339
from moonx_pipeline_tests.fixtures.gateway import WEBHOOK_KEY, GatewayProcess


def delivery(wallet: str, *, age: timedelta = timedelta(0), **changes: Any) -> bytes:
    content = {
        "webhookId": "wh_tests",
        "id": f"whevt_{uuid4()}",
        "createdAt": rfc3339(datetime.now(UTC) - age).replace("Z", "678901Z"),
        "type": "ADDRESS_ACTIVITY",
        "event": {
            "network": "MATIC_MAINNET",
            "activity": [{"fromAddress": "0x" + "0" * 40, "toAddress": wallet, "value": 12.5, "asset": None}],
        },
        **changes,
    }
    return json.dumps(content).encode()


def deliver(gateway: GatewayProcess, body: bytes, *, key: str = WEBHOOK_KEY, signature: str | None = None):
    right = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-Alchemy-Signature": right if signature is None else signature, "Content-Type": "application/json"}
    return gateway.ask("POST", "/api/v1/webhooks/alchemy", data=body, headers=headers)


def is_due(gateway: GatewayProcess, user_id: str) -> bool:
    with gateway.engine.connect() as connection:
        return connection.exec_driver_sql(
            "SELECT next_sync_at <= now() AND moved_at IS NOT NULL FROM user_sync_status WHERE user_id = %s", (user_id,)
        ).scalar_one()


@pytest.fixture
def ann(gateway: GatewayProcess) -> tuple[str, str]:
    """A user who is not due for an hour, and his wallet."""
    wallet = "0x" + uuid4().hex + "00000000"
    user_id = gateway.register(f"ann-{uuid4()}", wallet)
    with gateway.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE user_sync_status SET next_sync_at = now() + interval '1 hour' WHERE user_id = %s", (user_id,)
        )
    return user_id, wallet


def test_whoever_moved_is_due_now_once_a_delivery(gateway: GatewayProcess, ann: tuple[str, str]) -> None:
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
    changed = deliver(gateway, body + b" ", signature=hmac.new(WEBHOOK_KEY.encode(), body, hashlib.sha256).hexdigest())

    assert {answer.status_code, other_key.status_code, changed.status_code} == {401}
    assert not is_due(gateway, ann[0])


@pytest.mark.parametrize("age", [timedelta(hours=25), timedelta(minutes=-10)])
def test_a_delivery_of_long_ago_is_a_replay(gateway: GatewayProcess, ann: tuple[str, str], age: timedelta) -> None:
    answer = deliver(gateway, delivery(ann[1], age=age))

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "replayed")
    assert not is_due(gateway, ann[0])


def test_a_signed_body_that_can_not_be_read_is_said_to_be_so(gateway: GatewayProcess) -> None:
    for body in (b"", b"{", b"[]", delivery("0x", createdAt="yesterday"), delivery("0x", id="")):
        answer = deliver(gateway, body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


def test_the_notice_of_an_exhausted_plan_is_taken_without_anybody_being_due(gateway: GatewayProcess) -> None:
    answer = deliver(gateway, delivery("0x", event={"error": "Monthly capacity limit exceeded."}))

    assert answer.json()["data"] == {"usersDue": 0}
