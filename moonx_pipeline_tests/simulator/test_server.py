"""The simulator against what the providers document."""

import json
from decimal import Decimal

import pytest
import requests

from moonx_pipeline.simulator.networks import NATIVE_TOKEN
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.tokens import TOKENS
from moonx_pipeline.simulator.world import PLAIN_WALLET, SPAM_WALLET, initial_holdings
from moonx_pipeline_tests.support.simulator_calls import asking, data, rpc

LINK = next(address for (chain_id, address), token in TOKENS.items() if (chain_id, token.symbol) == (1, "LINK"))


def test_polygon_comes_back_under_its_old_name_and_the_native_coin_without_metadata(
    simulator: RunningSimulator,
) -> None:
    tokens = data(simulator, asking("polygon-mainnet"), "by-address").json()["data"]["tokens"]

    assert {row["network"] for row in tokens} == {"matic-mainnet"}
    (native,) = [row for row in tokens if row["tokenAddress"] is None]
    assert set(native["tokenMetadata"].values()) == {None}
    assert native["tokenPrices"][0]["currency"] == "usd"


def test_pages_hold_a_hundred_rows_and_every_row_once(simulator: RunningSimulator) -> None:
    rows, key, pages = [], None, 0
    while True:
        page = data(
            simulator, {**asking("eth-mainnet", wallet=SPAM_WALLET), **({"pageKey": key} if key else {})}
        ).json()["data"]
        rows += page["tokens"]
        pages += 1
        key = page["pageKey"]
        if not key:
            break
        assert len(page["tokens"]) == 100

    held = {h.token.address: h.balance for h in initial_holdings(SPAM_WALLET)[1]}
    assert {row["tokenAddress"] or NATIVE_TOKEN: int(row["tokenBalance"], 16) for row in rows} == held
    assert len(rows) == len(held)
    assert pages == -(-len(held) // 100)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("by-address", {"addresses": [{"address": f"0x{n:040x}", "networks": ["eth-mainnet"]} for n in range(3)]}),
        ("by-address", asking(*["eth-mainnet"] * 6)),
        (
            "balances/by-address",
            {"addresses": [{"address": f"0x{n:040x}", "networks": ["eth-mainnet"]} for n in range(4)]},
        ),
        ("balances/by-address", asking(*["eth-mainnet"] * 21)),
        ("balances/by-address", asking("mars-mainnet")),
        ("balances/by-address", {"addresses": []}),
    ],
)
def test_more_than_the_api_takes_is_refused(simulator: RunningSimulator, path: str, body: dict) -> None:
    refused = data(simulator, body, path)

    assert refused.status_code == 400
    assert "message" in refused.json()["error"]


def test_an_unknown_key_is_refused(simulator: RunningSimulator) -> None:
    assert data(simulator, asking("eth-mainnet"), key="bad-key").status_code == 401


def test_json_rpc_answers_a_batch_in_any_order_each_with_its_id(simulator: RunningSimulator) -> None:
    answers = rpc(
        simulator,
        ("eth_getBalance", [PLAIN_WALLET, "latest"]),
        ("alchemy_getTokenMetadata", [LINK]),
        ("alchemy_getTokenMetadata", ["0x" + "0" * 40]),
        ("eth_chainId", []),
        ("eth_nonsense", []),
    ).json()

    by_id = {answer["id"]: answer for answer in answers}
    assert int(by_id[0]["result"], 16) == 1_750_000_000_000_000_000
    assert by_id[1]["result"]["symbol"] == "LINK"
    assert by_id[2]["error"] == {
        "code": -32602,
        "message": "Invalid params: expected a valid token contract address.",
    }
    assert by_id[3]["result"] == "0x1"
    assert by_id[4]["error"]["code"] == -32601


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"symbols": '["ETHUSDT", "POLUSDT"]'}, -1100),
        ({"symbols": '["ethusdt"]'}, -1100),
        ({"symbols": '["ETHUSDT","ETHUSDT"]'}, -1151),
        ({"symbols": '["NOPEUSDT"]'}, -1121),
        ({"symbol": "ETHUSDT", "symbols": '["ETHUSDT"]'}, -1128),
    ],
)
def test_binance_refuses_what_it_is_known_to_refuse(simulator: RunningSimulator, query: dict, code: int) -> None:
    refused = requests.get(f"{simulator.base_url}/binance/api/v3/ticker/price", params=query, timeout=10)

    assert (refused.status_code, refused.json()["code"]) == (400, code)


def test_binance_answers_one_symbol_as_an_object_and_a_list_as_a_list(simulator: RunningSimulator) -> None:
    url = f"{simulator.base_url}/binance/api/v3/ticker/price"
    one = requests.get(url, params={"symbol": "ETHUSDT"}, timeout=10)
    many = requests.get(url, params={"symbols": '["ETHUSDT"]'}, timeout=10)

    assert one.json() == {"symbol": "ETHUSDT", "price": "2500.1"}
    assert many.json() == [one.json()]
    assert int(one.headers["x-mbx-used-weight-1m"]) > 0


def test_sources_agree_on_a_price_within_a_percent(simulator: RunningSimulator) -> None:
    gecko = requests.get(
        f"{simulator.base_url}/coingecko/api/v3/simple/token_price/ethereum",
        params={"contract_addresses": LINK, "vs_currencies": "usd"},
        timeout=10,
    )
    pairs = requests.get(f"{simulator.base_url}/dexscreener/tokens/v1/ethereum/{LINK}", timeout=10).json()

    listed = json.loads(gecko.text, parse_float=Decimal)[LINK]["usd"]
    deepest = max(pairs, key=lambda pair: pair["liquidity"]["quote"])
    assert abs(Decimal(deepest["priceUsd"]) / listed - 1) < Decimal("0.01")


def test_the_same_seed_moves_prices_in_the_same_way(simulator: RunningSimulator) -> None:
    def moved(seed: int) -> dict[str, Decimal]:
        requests.post(f"{simulator.base_url}/admin/reset", timeout=10)
        requests.post(f"{simulator.base_url}/admin/world", json={"tick": seed}, timeout=10)
        return dict(simulator.simulation.world.prices)

    assert moved(1) == moved(1) != moved(2)


def test_a_fault_is_switched_on_for_so_many_answers_and_off(simulator: RunningSimulator) -> None:
    url = f"{simulator.base_url}/admin/faults"
    requests.post(url, json={"provider": "alchemy", "kind": "quota", "times": 1}, timeout=10)
    assert [data(simulator, asking("eth-mainnet")).status_code for _ in range(2)] == [403, 200]

    made = requests.post(
        url, json={"provider": "alchemy", "kind": "rate_limit", "params": {"retry_after": 7}}, timeout=10
    )
    refused = data(simulator, asking("eth-mainnet"))
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")
    requests.delete(f"{url}/{made.json()['id']}", timeout=10)
    assert data(simulator, asking("eth-mainnet")).status_code == 200

    assert requests.post(url, json={"provider": "alchemy", "kind": "no such"}, timeout=10).status_code == 400


def test_a_limit_refuses_what_comes_above_it(simulator: RunningSimulator) -> None:
    requests.post(f"{simulator.base_url}/admin/limits", json={"dexscreener": 2}, timeout=10)
    url = f"{simulator.base_url}/dexscreener/tokens/v1/ethereum/{LINK}"

    assert [requests.get(url, timeout=10).status_code for _ in range(4)] == [200, 200, 429, 429]


def test_requests_and_compute_units_are_counted(simulator: RunningSimulator) -> None:
    data(simulator, asking("eth-mainnet"))
    data(simulator, asking("eth-mainnet"), "by-address")
    rpc(simulator, ("eth_getBalance", [PLAIN_WALLET, "latest"]), ("alchemy_getTokenMetadata", [LINK]))

    stats = requests.get(f"{simulator.base_url}/admin/stats", timeout=10).json()

    assert stats["computeUnits"] == 200 + 360 + 20 + 10
    assert stats["requests"]["alchemy balances/by-address 200"] == 1
