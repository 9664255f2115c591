"""A user's wallets by HTTP."""

from __future__ import annotations

from uuid import uuid4

import pytest

from moonx_pipeline_tests.fixtures.gateway import GatewayProcess, token_of

FIRST, SECOND = "0x" + "1f" * 20, "0x" + "2f" * 20
CHECKSUMMED = "0x52908400098527886E0F7030069857D2E4169EE7"
MISTYPED = "0xd8da6BF26964aF9D7eEd9e03E53415D37aA96045"


def put(gateway: GatewayProcess, user_id: str, wallets: object):
    return gateway.ask("PUT", "/api/v1/wallets", token_of(user_id), json={"wallets": wallets})


def test_somebody_new_registers_by_naming_his_wallets_and_is_read_at_once(gateway: GatewayProcess) -> None:
    user_id = f"new-{uuid4()}"

    data = put(gateway, user_id, [FIRST, CHECKSUMMED, FIRST.upper().replace("X", "x")]).json()["data"]

    assert data["wallets"] == [FIRST, CHECKSUMMED.lower()] == gateway.get("/wallets", user_id)["wallets"]
    status = gateway.get("/sync/status", user_id)
    assert status["pendingRequestId"] == data["requestId"] is not None
    assert status["remainingRequests"] == 5


def test_the_same_list_changes_nothing_and_another_one_replaces_it(gateway: GatewayProcess) -> None:
    user_id = gateway.register(f"ann-{uuid4()}", FIRST)

    assert put(gateway, user_id, [FIRST]).json()["data"]["requestId"] is None
    assert put(gateway, user_id, [SECOND]).json()["data"]["wallets"] == [SECOND]
    assert put(gateway, user_id, []).json()["data"] == {"wallets": [], "maxWallets": 20, "requestId": None}


@pytest.mark.parametrize(
    ("wallets", "sentence"),
    [
        ([FIRST, MISTYPED], "wrong EIP-55 checksum"),
        (["0x12"], "2 digits after 0x, not 40"),
        (["ann.eth"], "does not begin with 0x"),
        ([f"0x{number:040x}" for number in range(21)], "at most 20"),
        ([None], "wallets.0"),
        ("0x12", "wallets"),
    ],
)
def test_a_list_with_anything_wrong_in_it_is_refused_whole(
    gateway: GatewayProcess, wallets: object, sentence: str
) -> None:
    user_id = gateway.register(f"ann-{uuid4()}", SECOND)

    answer = put(gateway, user_id, wallets)

    assert answer.status_code == 422
    assert sentence in answer.json()["error"]["message"]
    assert gateway.get("/wallets", user_id)["wallets"] == [SECOND]
