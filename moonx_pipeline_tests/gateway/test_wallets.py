"""A user's wallets by HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
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


def test_lists_past_the_limit_are_stored_with_a_word_and_ask_for_no_sync(gateway: GatewayProcess) -> None:
    user_id = f"restless-{uuid4()}"
    for number in range(10):
        assert put(gateway, user_id, [f"0x{number:040x}"]).json()["data"]["requestId"] is not None
        with gateway.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE sync_requests SET status = 'done' WHERE user_id = %s", (user_id,))

    answer = put(gateway, user_id, [FIRST]).json()

    assert (answer["data"]["wallets"], answer["data"]["requestId"]) == ([FIRST], None)
    assert "are read with the next unattended sync" in answer["message"]
    assert gateway.get("/sync/status", user_id)["remainingRequests"] == 5


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


def tag(gateway: GatewayProcess, user_id: str) -> str:
    return gateway.ask("GET", "/api/v1/wallets", token_of(user_id)).headers["ETag"]


def put_if(gateway: GatewayProcess, user_id: str, wallets: list[str], if_match: str):
    return gateway.ask(
        "PUT", "/api/v1/wallets", token_of(user_id), json={"wallets": wallets}, headers={"If-Match": if_match}
    )


def test_a_list_that_was_changed_meanwhile_is_left_as_it_is(gateway: GatewayProcess) -> None:
    user_id = gateway.register(f"ann-{uuid4()}", FIRST)
    seen = tag(gateway, user_id)
    taken = put_if(gateway, user_id, [FIRST, SECOND], f'"other", {seen}')
    assert (taken.status_code, taken.headers["ETag"]) == (200, tag(gateway, user_id))

    refused = put_if(gateway, user_id, [FIRST, CHECKSUMMED], seen)

    assert (refused.status_code, refused.json()["error"]["code"]) == (412, "changed_meanwhile")
    assert "read them again" in refused.json()["error"]["message"]
    assert gateway.get("/wallets", user_id)["wallets"] == [FIRST, SECOND]
    # What is there already needs no change, and a weak tag names no list.
    assert put_if(gateway, user_id, [FIRST, SECOND], seen).status_code == 200
    assert put_if(gateway, user_id, [FIRST], f"W/{tag(gateway, user_id)}").status_code == 412
    assert put_if(gateway, user_id, [FIRST], "*").status_code == 200


def test_of_two_who_register_the_same_newcomer_at_once_one_is_told(gateway: GatewayProcess) -> None:
    user_id = f"new-{uuid4()}"
    seen = tag(gateway, user_id)

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda wallet: put_if(gateway, user_id, [wallet], seen), (FIRST, SECOND)))

    assert sorted(answer.status_code for answer in answers) == [200, 412]
    (taken,) = (answer.json()["data"] for answer in answers if answer.status_code == 200)
    assert gateway.get("/wallets", user_id)["wallets"] == taken["wallets"]
