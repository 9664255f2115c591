"""Faults inside good answers, and answers that no server sends."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import urlsplit

import pytest
import requests

from moonx_pipeline.simulator.pools import Pool
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.tokens import TOKENS
from moonx_pipeline.simulator.world import PLAIN_WALLET
from moonx_pipeline_tests.support.simulator_calls import answers, asking, data, gecko, get, llama, pools, row_of, rows

LINK = next(token for token in TOKENS.values() if (token.chain_id, token.symbol) == (1, "LINK"))
UNI = next(token for token in TOKENS.values() if (token.chain_id, token.symbol) == (1, "UNI"))
LINK_ONLY = {"token": LINK.address}
BALANCE_OF = f"0x70a08231{'0' * 24}{PLAIN_WALLET[2:]}"


def balance_calls(*tokens: str) -> list[tuple[str, list]]:
    return [("eth_call", [{"to": token, "data": BALANCE_OF}, "latest"]) for token in tokens]


def test_three_words_are_answered_for_one_balance_by_every_way(simulator: RunningSimulator) -> None:
    simulator.fault("three_word_balance", params=LINK_ONLY)

    (listed,) = answers(simulator, ("alchemy_getTokenBalances", [PLAIN_WALLET, [LINK.address, UNI.address]]))
    called = answers(simulator, *balance_calls(LINK.address, UNI.address))
    said = [row_of(simulator, PLAIN_WALLET, token)["tokenBalance"] for token in (LINK, UNI)]
    said += [row["tokenBalance"] for row in listed["result"]["tokenBalances"]]
    said += [one["result"] for one in called]

    assert [len(balance) for balance in said[::2]] == [2 + 3 * 64] * 3
    assert {int(balance[:66], 16) for balance in said[::2]} == {60 * 10**18}
    assert all(len(balance) <= 66 for balance in said[1::2])


@pytest.mark.parametrize("value", [None, -1, "18", 78, 18.5])
def test_decimals_are_odd_for_one_token(simulator: RunningSimulator, value: object) -> None:
    simulator.fault("odd_decimals", params=LINK_ONLY | ({"value": value} if value is not None else {}))

    asked = [("alchemy_getTokenMetadata", [token.address]) for token in (LINK, UNI)]
    named = [answer["result"] for answer in answers(simulator, *asked)]

    odd = value if value is not None else 1.157920892373162e77
    assert [one["decimals"] for one in named] == [odd, 18]
    assert row_of(simulator, PLAIN_WALLET, LINK)["tokenMetadata"]["decimals"] == odd


def test_a_row_has_an_error_in_place_of_its_balance(simulator: RunningSimulator) -> None:
    simulator.fault("token_error", params=LINK_ONLY | {"message": "execution timeout"})

    row = row_of(simulator, PLAIN_WALLET, LINK)
    (said,) = answers(simulator, ("alchemy_getTokenBalances", [PLAIN_WALLET, "erc20"]))

    assert (row["tokenBalance"], row["error"]) == (None, "execution timeout")
    failed = [row for row in said["result"]["tokenBalances"] if row["error"]]
    assert [(row["contractAddress"], row["tokenBalance"]) for row in failed] == [(LINK.address, None)]


def test_a_lone_surrogate_is_an_escape_in_the_answer(simulator: RunningSimulator) -> None:
    simulator.fault("lone_surrogate", params=LINK_ONLY | {"field": "symbol"})

    body = data(simulator, asking("eth-mainnet"), "by-address").content
    (named,) = answers(simulator, ("alchemy_getTokenMetadata", [LINK.address]))

    assert b'"LINK\\ud800"' in body
    assert named["result"]["symbol"] == "LINK\ud800"
    assert json.loads(body)["data"]["tokens"]


def test_a_network_is_left_out_without_a_word(simulator: RunningSimulator) -> None:
    simulator.fault("silent_network", network="arb-mainnet", times=1)
    asked = asking("eth-mainnet", "arb-mainnet", includeBlockMetadata=True)

    silent, whole = (data(simulator, asked).json() for _ in range(2))

    assert {row["network"] for row in silent["data"]["tokens"]} == {"eth-mainnet"} == set(silent["blockMetadata"])
    assert "error" not in silent
    assert {row["network"] for row in whole["data"]["tokens"]} == {"eth-mainnet", "arb-mainnet"}


def test_metadata_is_empty_the_first_times_it_is_asked_for(simulator: RunningSimulator) -> None:
    simulator.fault("null_metadata", times=2, params=LINK_ONLY)

    def symbols() -> list[str | None]:
        asked = [("alchemy_getTokenMetadata", [token.address]) for token in (LINK, UNI)]
        return [answer["result"]["symbol"] for answer in answers(simulator, *asked)]

    answers(simulator, ("alchemy_getTokenMetadata", [UNI.address]))  # of another token: does not count
    rows(simulator, PLAIN_WALLET, "eth-mainnet", path="balances/by-address")  # nor does a list without names
    assert [symbols() for _ in range(3)] == [[None, "UNI"], [None, "UNI"], ["LINK", "UNI"]]


def test_metadata_of_one_token_is_refused(simulator: RunningSimulator) -> None:
    simulator.fault("metadata_refused", params=LINK_ONLY)

    refused, named = answers(
        simulator, ("alchemy_getTokenMetadata", [LINK.address]), ("alchemy_getTokenMetadata", [UNI.address])
    )

    assert (refused["error"]["code"], named["result"]["symbol"]) == (-32602, "UNI")


@pytest.mark.parametrize("code", [-32005, -32007, -32016, -32029, -32046, -32090, 15, 429, -32603, -32000])
def test_single_calls_of_a_batch_are_refused(simulator: RunningSimulator, code: int) -> None:
    simulator.fault("call_refused", params={"code": code, "message": "execution timeout", "after": 2}, times=1)
    calls = [("eth_getBalance", [PLAIN_WALLET, "latest"]), *balance_calls(*[LINK.address] * 3)]

    said, again = answers(simulator, *calls), answers(simulator, *calls)

    assert ["result" in one for one in said] == [True, True, False, False]
    assert said[2]["error"] == {"code": code, "message": "execution timeout"}
    assert all("result" in one for one in again)


def test_calls_are_refused_by_method_and_by_token(simulator: RunningSimulator) -> None:
    simulator.fault("call_refused", endpoint="eth_call", params={"method": "eth_call", "token": LINK.address})

    said = answers(simulator, ("eth_getBalance", [PLAIN_WALLET, "latest"]), *balance_calls(LINK.address, UNI.address))

    assert ["error" in one for one in said] == [False, True, False]


def test_a_fault_of_a_method_holds_wherever_in_the_batch_it_is_asked(simulator: RunningSimulator) -> None:
    simulator.fault("outage", endpoint="eth_getBalance")

    url = f"{simulator.base_url}/alchemy/rpc/eth-mainnet/v2/k"
    batch = [{"jsonrpc": "2.0", "id": n, "method": m, "params": [PLAIN_WALLET, "latest"]} for n, m in enumerate(
        ("eth_blockNumber", "eth_getBalance"))]  # fmt: skip
    assert [requests.post(url, json=calls, timeout=10).status_code for calls in (batch, batch[:1])] == [503, 200]


def test_every_source_can_say_nothing(simulator: RunningSimulator) -> None:
    for kind in ("empty_answer", "null_answer"):
        for provider in ("alchemy", "binance", "coingecko", "defillama", "dexscreener"):
            simulator.fault(kind, provider, times=1)
        nothing = kind == "null_answer"
        assert data(simulator, asking("eth-mainnet")).json() == (
            None if nothing else {"data": {"tokens": [], "pageKey": None}}
        )
        assert get(simulator, "binance/api/v3/ticker/24hr").json() == (None if nothing else [])
        assert gecko(simulator, "ethereum") == (None if nothing else {})
        said = get(simulator, f"defillama/prices/current/ethereum:{LINK.address}").json()
        assert said == (None if nothing else {"coins": {}})
        assert pools(simulator, LINK.address) == (None if nothing else [])

    simulator.fault("empty_answer", "dexscreener", times=1)
    legacy = get(simulator, f"dexscreener/latest/dex/tokens/{LINK.address}").json()
    assert legacy == {"schemaVersion": "1.0.0", "pairs": None}


def test_pools_lose_their_price_or_their_depth(simulator: RunningSimulator) -> None:
    def said(kind: str, **params: object) -> list[tuple]:
        fault = simulator.fault(kind, "dexscreener", params=LINK_ONLY | params)
        found = [(pool.get("priceUsd", "absent"), "liquidity" in pool) for pool in pools(simulator, LINK.address)]
        simulator.simulation.faults.clear(fault)
        return found

    healthy = [("100.24", True), ("14.32", True)]
    assert said("zero_price") == [("0", True)] * 2
    assert said("no_price") == [(None, True)] * 2
    assert said("no_price", absent=True) == [("absent", True)] * 2
    assert said("no_liquidity") == [(price, False) for price, _ in healthy]
    assert [(pool["priceUsd"], True) for pool in pools(simulator, LINK.address)] == healthy


@pytest.mark.parametrize("provider", ["alchemy", "binance", "coingecko", "defillama", "dexscreener"])
def test_one_source_is_off_by_a_factor_for_one_token(simulator: RunningSimulator, provider: str) -> None:
    simulator.fault("scaled_price", provider, params=LINK_ONLY | {"factor": "1000000"})

    def price_of(token_key: str, symbol: str, coin: str, address: str) -> dict[str, Decimal]:
        linked = row_of(simulator, PLAIN_WALLET, LINK if symbol == "LINK" else UNI)
        return {
            "alchemy": Decimal(linked["tokenPrices"][0]["value"]),
            "binance": Decimal(get(simulator, "binance/api/v3/ticker/price", symbol=f"{symbol}USDT").json()["price"]),
            "coingecko": Decimal(str(gecko(simulator, coin)[coin]["usd"])),
            "defillama": Decimal(str(llama(simulator, token_key)[token_key]["price"])),
            "dexscreener": Decimal(pools(simulator, address)[1]["priceUsd"]),
        }

    link = price_of(f"ethereum:{LINK.address}", "LINK", "chainlink", LINK.address)
    uni = price_of(f"ethereum:{UNI.address}", "UNI", "uniswap", UNI.address)
    assert {source for source, price in link.items() if price > 1_000_000} == {provider}
    assert set(uni.values()) == {Decimal("8.91")}


def test_quotes_are_as_old_as_they_are_told_to_be(simulator: RunningSimulator) -> None:
    for provider in ("alchemy", "coingecko", "defillama"):
        simulator.fault("old_quotes", provider, params={"days": 400})

    key = f"ethereum:{LINK.address}"
    told = [gecko(simulator, "chainlink")["chainlink"]["last_updated_at"], llama(simulator, key)[key]["timestamp"]]
    at = row_of(simulator, PLAIN_WALLET, LINK)["tokenPrices"][0]["lastUpdatedAt"]

    assert all(399 < (datetime.now(UTC) - datetime.fromtimestamp(one, UTC)).days <= 401 for one in told)
    assert (datetime.now(UTC) - datetime.fromisoformat(at)).days >= 399


def test_defillama_doubts_its_own_price(simulator: RunningSimulator) -> None:
    simulator.fault("low_confidence", "defillama", params={"value": 0.2})

    key = f"ethereum:{LINK.address}"
    assert llama(simulator, key)[key]["confidence"] == 0.2


@pytest.mark.parametrize("status", [600, 999])
def test_a_status_that_does_not_exist_is_sent_all_the_same(simulator: RunningSimulator, status: int) -> None:
    simulator.fault("status", "coingecko", times=1, params={"status": status, "body": "odd"})
    url = "coingecko/api/v3/simple/price?ids=ethereum&vs_currencies=usd"

    refused, good = get(simulator, url), get(simulator, url)

    assert (refused.status_code, refused.text, good.status_code) == (status, "odd", 200)
    assert simulator.requests(f"coingecko simple/price {status}") == 1


def test_an_early_hint_comes_before_the_answer_on_the_same_connection(simulator: RunningSimulator) -> None:
    simulator.fault("early_hints", "dexscreener", times=1)
    place = urlsplit(simulator.base_url)

    with socket.create_connection((place.hostname, place.port), 10) as connection:
        path = f"/dexscreener/tokens/v1/ethereum/{LINK.address}"
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        said = b"".join(iter(lambda: connection.recv(65536), b""))

    first, second = (part for part in said.split(b"HTTP/1.1 ") if part)
    assert first.startswith(b"103 Early Hints\r\n")
    assert second.startswith(b"200 OK\r\n")
    assert json.loads(second.partition(b"\r\n\r\n")[2])[0]["chainId"] == "ethereum"


def test_headers_come_a_byte_at_a_time_and_never_end(simulator: RunningSimulator) -> None:
    simulator.fault("slow_headers", "dexscreener", times=1, params={"seconds": 0.01})
    place = urlsplit(simulator.base_url)

    with socket.create_connection((place.hostname, place.port), 10) as connection:
        connection.sendall(f"GET /dexscreener/tokens/v1/ethereum/{LINK.address} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        said = b""
        while len(said) < 40:
            said += connection.recv(65536)

    assert said.startswith(b"HTTP/1.1 200 OK\r\nX-Slow: xx")
    assert b"\r\n\r\n" not in said


@pytest.mark.parametrize("provider", ["dexscreener", "defillama"])
def test_a_good_answer_has_lists_within_lists(simulator: RunningSimulator, provider: str) -> None:
    simulator.fault("nested", provider, times=1, params={"depth": 20})
    path = {
        "dexscreener": f"dexscreener/tokens/v1/ethereum/{LINK.address}",
        "defillama": f"defillama/prices/current/ethereum:{LINK.address}",
    }[provider]

    odd, good = get(simulator, path), get(simulator, path)

    assert "[" * 20 in odd.text
    assert len(odd.json()) == len(good.json()) + 1


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ({"kind": "no_liquidity", "provider": "binance"}, "no fault 'no_liquidity' of binance"),
        ({"kind": "silent_network", "provider": "alchemy"}, "needs the network"),
        ({"kind": "scaled_price", "provider": "coingecko"}, "needs 'factor'"),
        ({"kind": "status", "provider": "coingecko"}, "needs 'status'"),
        ({"kind": "hang", "provider": "reuters"}, "no provider 'reuters'"),
    ],
)
def test_a_fault_that_would_do_nothing_is_refused(simulator: RunningSimulator, fault: dict, problem: str) -> None:
    refused = requests.post(f"{simulator.base_url}/admin/faults", json=fault, timeout=10)

    assert refused.status_code == 400
    assert problem in refused.json()["error"]


def test_a_deep_pool_of_a_token_is_the_one_it_was_given(simulator: RunningSimulator) -> None:
    token = simulator.simulation.world.add_token("DEEP", price="4", pools=[Pool(1_000_000), Pool(12)])

    assert [pool["liquidity"]["usd"] for pool in pools(simulator, token.address)] == [2_000_000, 24]
