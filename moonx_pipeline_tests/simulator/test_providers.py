"""What each provider answers, against what it documents."""

from __future__ import annotations

from decimal import Decimal

import pytest
import requests

from moonx_pipeline.simulator.networks import NATIVE_TOKEN, ZERO_ADDRESS
from moonx_pipeline.simulator.pools import Pool
from moonx_pipeline.simulator.rare_tokens import POOLED, RARE_TOKENS, VIRTUAL
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.tokens import TOKENS, derived_address
from moonx_pipeline.simulator.world import EMPTY_WALLET, MIRROR_WALLET, PLAIN_WALLET, POLYGON_WALLET
from moonx_pipeline_tests.support.simulator_calls import answers, asking, data, gecko, get, llama, pools, rows, rpc

WALLET = derived_address("wallet: of this test")
LINK = next(token for token in TOKENS.values() if (token.chain_id, token.symbol) == (1, "LINK"))
USDC = next(token for token in TOKENS.values() if (token.chain_id, token.symbol) == (1, "USDC"))
NETWORKS = ("eth-mainnet", "polygon-mainnet", "opt-mainnet", "arb-mainnet", "base-mainnet")
BALANCE_OF = f"0x70a08231{'0' * 24}{PLAIN_WALLET[2:]}"


@pytest.mark.parametrize("path", ["by-address", "balances/by-address"])
def test_the_native_coin_has_a_row_on_every_network_that_was_asked_about(
    simulator: RunningSimulator, path: str
) -> None:
    tokens = rows(simulator, EMPTY_WALLET, *NETWORKS, path=path)

    assert [(row["tokenAddress"], int(row["tokenBalance"], 16)) for row in tokens] == [(None, 0)] * 5
    native = [row for row in rows(simulator, POLYGON_WALLET, *NETWORKS, path=path) if row["tokenAddress"] is None]
    assert [int(row["tokenBalance"], 16) > 0 for row in native] == [True, True, False, False, False]


def test_a_list_leaves_out_what_it_was_told_to(simulator: RunningSimulator) -> None:
    plain = asking("eth-mainnet", withMetadata=False, withPrices=False, includeNativeTokens=False)
    tokens = data(simulator, plain, "by-address").json()["data"]["tokens"]
    assert {tuple(row) for row in tokens} == {("network", "address", "tokenAddress", "tokenBalance", "error")}
    assert None not in {row["tokenAddress"] for row in tokens}

    coins = data(simulator, asking("eth-mainnet", includeErc20Tokens=False)).json()["data"]["tokens"]
    assert [row["tokenAddress"] for row in coins] == [None]


def test_blocks_are_told_by_the_slug_of_the_answer_and_move_with_balances(simulator: RunningSimulator) -> None:
    asked = asking("polygon-mainnet", "eth-mainnet", includeBlockMetadata=True)
    before = data(simulator, asked).json()["blockMetadata"]
    simulator.simulation.world.set_balance(PLAIN_WALLET, LINK, 7)
    after = data(simulator, asked).json()["blockMetadata"]

    assert set(before) == {"matic-mainnet", "eth-mainnet"}
    assert int(after["eth-mainnet"]["blockNumber"], 16) == int(before["eth-mainnet"]["blockNumber"], 16) + 1
    assert after["matic-mainnet"] == before["matic-mainnet"]
    assert {len(block["blockHash"]) for block in after.values()} == {66}
    (newest,) = answers(simulator, ("eth_blockNumber", []))
    assert newest["result"] == after["eth-mainnet"]["blockNumber"]


def test_prices_by_symbol_and_by_contract_leave_a_row_for_what_has_none(simulator: RunningSimulator) -> None:
    said = get(simulator, "alchemy/prices/v1/k/tokens/by-symbol?symbols=ETH&symbols=NOPE").json()["data"]

    assert [row["symbol"] for row in said] == ["ETH", "NOPE"]
    assert said[0]["prices"][0]["value"] == "2500.1"
    assert said[1]["prices"] == []
    assert said[1]["error"]["message"]


def test_contracts_answer_calls_as_on_a_node(simulator: RunningSimulator) -> None:
    silent = simulator.simulation.world.add_token("SLN", decimals=None)
    asked = [(LINK.address, data) for data in (BALANCE_OF, "0x313ce567", "0x95d89b41", "0x12345678")]
    asked += [(silent.address, "0x313ce567"), (derived_address("nobody"), BALANCE_OF)]

    said = answers(simulator, *(("eth_call", [{"to": to, "data": data}, "latest"]) for to, data in asked))

    assert int(said[0]["result"], 16) == 60 * 10**18
    assert int(said[1]["result"], 16) == 18
    assert bytes.fromhex(said[2]["result"][2:]).endswith(b"LINK" + bytes(28))
    assert said[3]["error"]["code"] == said[4]["error"]["code"] == 3
    assert said[5]["result"] == "0x"


def test_token_balances_of_named_contracts_have_a_row_for_each(simulator: RunningSimulator) -> None:
    asked = [USDC.address, derived_address("nobody"), LINK.address.upper().replace("0X", "0x")]

    (said,) = answers(simulator, ("alchemy_getTokenBalances", [EMPTY_WALLET, asked]))

    assert [row["contractAddress"] for row in said["result"]["tokenBalances"]] == [a.lower() for a in asked]
    assert [row["tokenBalance"] for row in said["result"]["tokenBalances"]] == ["0x" + "0" * 64, "0x", "0x" + "0" * 64]


@pytest.mark.parametrize(
    ("query", "weight", "fields"),
    [
        ({"symbols": '["ETHUSDT"]'}, "2", {"priceChangePercent", "lastPrice", "openPrice"}),
        ({"symbols": '["ETHUSDT"]', "type": "MINI"}, "2", {"lastPrice", "openPrice"}),
        ({}, "80", {"priceChangePercent", "lastPrice", "openPrice"}),
    ],
)
def test_daily_tickers_tell_the_change_unless_they_are_mini(
    simulator: RunningSimulator, query: dict, weight: str, fields: set
) -> None:
    said = get(simulator, "binance/api/v3/ticker/24hr", **query, symbolStatus="TRADING")

    ether = next(row for row in said.json() if row["symbol"] == "ETHUSDT")
    assert fields == set(ether) & {"priceChangePercent", "lastPrice", "openPrice"}
    assert all(isinstance(ether[name], str) for name in fields)
    assert Decimal(ether["lastPrice"]) == Decimal("2500.1")
    assert abs(Decimal(ether["lastPrice"]) / Decimal(ether["openPrice"]) - Decimal("1.0125")) < Decimal("1e-9")
    assert said.headers["x-mbx-used-weight-1m"] == weight


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"symbols": '["NOPEUSDT"]'}, -1121),
        ({"symbols": '["ETHUSDT", "POLUSDT"]'}, -1100),
        ({"symbols": '["ETHUSDT","ETHUSDT"]'}, -1151),
        ({"symbol": "ETHUSDT", "type": "TINY"}, -1139),
        ({"symbol": "ETHUSDT", "symbolStatus": "SLEEPING"}, -1122),
        ({"symbol": "ETHUSDT", "symbolStatus": "BREAK"}, -1220),
    ],
)
def test_daily_tickers_refuse_as_prices_do(simulator: RunningSimulator, query: dict, code: int) -> None:
    for ticker in ("price", "24hr"):
        if "type" not in query or ticker == "24hr":
            refused = get(simulator, f"binance/api/v3/ticker/{ticker}", **query)
            assert (refused.status_code, refused.json()["code"]) == (400, code)


def test_coingecko_lists_every_contract_under_its_own_coin(simulator: RunningSimulator) -> None:
    simulator.simulation.world.add_token("GOOD", chain_id=10, coingecko_id="good-coin")
    coins = {row["id"]: row for row in get(simulator, "coingecko/api/v3/coins/list", include_platform="true").json()}

    assert coins["weth"]["platforms"] == {"ethereum": "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"}
    assert {"ethereum", "polygon-pos", "optimistic-ethereum", "arbitrum-one", "base"} <= set(
        coins["usd-coin"]["platforms"]
    )
    assert coins["ethereum"]["platforms"] == {}
    assert list(coins["good-coin"]["platforms"]) == ["optimistic-ethereum"]
    assert coins["arbitrum-bridged-weth-arbitrum-one"]["symbol"] == "weth"
    assert "platforms" not in get(simulator, "coingecko/api/v3/coins/list").json()[0]


def test_every_listed_coin_has_a_price_by_its_id(simulator: RunningSimulator) -> None:
    coins = [row["id"] for row in get(simulator, "coingecko/api/v3/coins/list", include_platform="true").json()]

    said = gecko(simulator, *coins, "no-such-coin")

    listed = {token.coin for token in [*TOKENS.values(), *RARE_TOKENS.values()] if token.listed}
    assert set(said) == {coin for coin in listed if coin in coins}
    assert all({"usd", "usd_24h_change", "last_updated_at"} == set(price) for price in said.values())


def test_defillama_answers_by_the_keys_it_was_asked_with(simulator: RunningSimulator) -> None:
    keys = [
        f"ethereum:{LINK.address.upper().replace('0X', '0x')}",
        f"ethereum:{LINK.address}",
        f"ethereum:{ZERO_ADDRESS}",
        f"ethereum:{NATIVE_TOKEN}",
        "coingecko:chainlink",
        f"mars:{LINK.address}",
        f"base:{derived_address('nobody')}",
    ]

    coins = llama(simulator, *keys)

    assert list(coins) == [keys[0], keys[1], keys[2], keys[4]]
    assert {key: coins[keys[0]][key] for key in ("symbol", "decimals", "price", "confidence")} == {
        "symbol": "LINK",
        "decimals": 18,
        "price": 14.32,
        "confidence": 0.99,
    }
    assert isinstance(coins[keys[0]]["timestamp"], int)
    assert coins[keys[2]]["symbol"] == "ETH"
    assert "decimals" not in coins[keys[4]]


def test_pools_of_version_four_hold_the_native_coin_itself(simulator: RunningSimulator) -> None:
    fourth = next(token for token, _ in POOLED if token.symbol == "FOURTH")

    (pool,) = pools(simulator, fourth.address)

    assert (pool["labels"], len(pool["pairAddress"])) == (["v4"], 66)
    assert (pool["quoteToken"]["address"], pool["quoteToken"]["symbol"]) == (ZERO_ADDRESS, "ETH")
    assert pool["liquidity"]["quote"] == pytest.approx(1_500_000 / 2500.1)
    assert pools(simulator, ZERO_ADDRESS) == [pool]


def test_a_pool_is_found_from_either_side(simulator: RunningSimulator) -> None:
    mine, against = [], []
    for pool in pools(simulator, VIRTUAL.address, chain="base"):
        (mine if pool["baseToken"]["symbol"] == "VIRTUAL" else against).append(pool)

    assert len(mine) == 1
    assert [pool["baseToken"]["symbol"] for pool in against] == ["LUNARA"]
    assert against[0]["quoteToken"]["address"].lower() == VIRTUAL.address
    assert Decimal(against[0]["priceNative"]) * Decimal("1.31") == pytest.approx(Decimal(against[0]["priceUsd"]))


def test_pools_leave_out_what_is_not_known(simulator: RunningSimulator) -> None:
    world = simulator.simulation.world
    odd = world.add_token("ODD", price="2", pools=[Pool(None), Pool(50, price_usd="0"), Pool(60, price_usd=None)])

    unknown, zero, absent = pools(simulator, odd.address)

    assert "liquidity" not in unknown
    assert zero["priceUsd"] == "0"
    assert "priceUsd" not in absent


def test_the_mirror_of_a_native_coin_has_its_balance(simulator: RunningSimulator) -> None:
    for network in ("polygon-mainnet", "opt-mainnet"):
        native, mirror = rows(simulator, MIRROR_WALLET, network)
        assert (native["tokenAddress"], native["tokenMetadata"]["symbol"]) == (None, None)
        assert int(native["tokenBalance"], 16) == int(mirror["tokenBalance"], 16) > 0
        assert mirror["tokenMetadata"]["decimals"] == 18


def test_a_network_that_alchemy_does_not_have_is_refused(simulator: RunningSimulator) -> None:
    refused = rpc(simulator, ("eth_chainId", []), network="mars-mainnet")

    assert (refused.status_code, refused.json()["error"]["code"]) == (400, -32600)


def test_a_node_answers_standard_calls_for_the_same_world_and_none_of_alchemys(simulator: RunningSimulator) -> None:
    calls = [
        ("eth_chainId", []),
        ("eth_getBalance", [PLAIN_WALLET, "latest"]),
        ("alchemy_getTokenMetadata", [LINK.address]),
    ]
    batch = [
        {"jsonrpc": "2.0", "id": n, "method": method, "params": params} for n, (method, params) in enumerate(calls)
    ]

    url = simulator.node_environment("ethereum")["RPC_URL_ETHEREUM"]
    chain, balance, refused = sorted(requests.post(url, json=batch, timeout=10).json(), key=lambda one: one["id"])

    assert (chain["result"], int(balance["result"], 16)) == ("0x1", 1_750_000_000_000_000_000)
    assert refused["error"]["code"] == -32601
    assert simulator.simulation.faults.compute_units == 0

    simulator.fault("call_refused", "rpc", network="ethereum", params={"code": -32016, "method": "eth_getBalance"})
    said = requests.post(url, json=batch[:2], timeout=10).json()
    assert {one["id"]: one.get("error", {}).get("code") for one in said} == {0: None, 1: -32016}
