"""How tests put a situation together, and that every source then tells its part of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import requests

from moonx_pipeline.simulator.networks import NATIVE_TOKEN
from moonx_pipeline.simulator.pools import Pool
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.tokens import derived_address
from moonx_pipeline.simulator.world import PLAIN_WALLET, World
from moonx_pipeline_tests.support.simulator_calls import gecko, get, llama, pools, row_of

WALLET = derived_address("wallet: of this test")


def test_an_added_token_is_known_to_every_source_that_could_know_it(simulator: RunningSimulator) -> None:
    world = simulator.simulation.world
    assert gecko(simulator, "good-coin") == {}
    good = world.add_token(
        "GOOD", name="Good Token", decimals=9, price="1.5", pools=[Pool(400_000)], coingecko_id="good-coin",
        held={WALLET: "1000"},
    )  # fmt: skip

    row = row_of(simulator, WALLET, good)
    assert int(row["tokenBalance"], 16) == 1000 * 10**9
    assert row["tokenMetadata"] == {"symbol": "GOOD", "name": "Good Token", "decimals": 9, "logo": None}
    assert [price["value"] for price in row["tokenPrices"]] == ["1.5"]
    assert gecko(simulator, "good-coin")["good-coin"]["usd"] == 1.5
    assert llama(simulator, f"ethereum:{good.address}")[f"ethereum:{good.address}"]["price"] == 1.5
    assert [pool["priceUsd"] for pool in pools(simulator, good.address)] == ["1.5"]

    world.set_price(good.price or "", Decimal(2))

    assert gecko(simulator, "good-coin")["good-coin"]["usd"] == 2
    assert [pool["priceUsd"] for pool in pools(simulator, good.address)] == ["2"]


def test_a_token_without_listing_and_pools_is_known_to_alchemy_alone(simulator: RunningSimulator) -> None:
    lone = simulator.simulation.world.add_token("LONE", price="10", held={WALLET: 3})

    assert row_of(simulator, WALLET, lone)["tokenPrices"]
    assert llama(simulator, f"ethereum:{lone.address}") == {}
    assert pools(simulator, lone.address) == []


@pytest.mark.parametrize("source", ["alchemy", "coingecko", "defillama", "dexscreener"])
def test_one_source_differs_and_the_others_do_not(simulator: RunningSimulator, source: str) -> None:
    world = simulator.simulation.world
    token = world.add_token("TWO", price="2", pools=[Pool(400_000)], coingecko_id="two-coin", held={WALLET: 1})
    key = f"ethereum:{token.address}"

    def said() -> dict[str, str | None]:
        prices = row_of(simulator, WALLET, token)["tokenPrices"]
        return {
            "alchemy": prices[0]["value"] if prices else None,
            "coingecko": str(gecko(simulator, "two-coin").get("two-coin", {}).get("usd")),
            "defillama": str(llama(simulator, key).get(key, {}).get("price")),
            "dexscreener": pools(simulator, token.address)[0].get("priceUsd"),
        }

    agreed = said()
    world.set_source_price(source, token, "22.5")
    assert said() == {**agreed, source: "22.5"}
    world.set_source_price(source, token, None)
    assert said() == {**agreed, source: said()[source]}
    assert said()[source] in (None, "None")
    world.follow_market(source, token)
    assert said() == agreed


def test_a_source_may_tell_an_old_price(simulator: RunningSimulator) -> None:
    world = simulator.simulation.world
    token = world.add_token("OLD", price="2", pools=[Pool(400_000)], coingecko_id="old-coin", held={WALLET: 1})
    for source in ("alchemy", "coingecko", "defillama"):
        world.set_source_price(source, token, "22", age=timedelta(days=200), change_percent="-3")

    long_ago = datetime.now(UTC) - timedelta(days=199)
    listed = gecko(simulator, "old-coin")["old-coin"]
    assert listed["last_updated_at"] < long_ago.timestamp()
    assert listed["usd_24h_change"] == -3
    key = f"ethereum:{token.address}"
    assert llama(simulator, key)[key]["timestamp"] < long_ago.timestamp()
    at = row_of(simulator, WALLET, token)["tokenPrices"][0]["lastUpdatedAt"]
    assert datetime.fromisoformat(at) < long_ago


def test_a_pair_of_binance_is_moved_by_any_token_that_it_is_of(simulator: RunningSimulator) -> None:
    world = simulator.simulation.world
    world.set_source_price("binance", world.named("ETH"), "2600.5", change_percent="4")

    ether = get(simulator, "binance/api/v3/ticker/24hr", symbol="ETHUSDT").json()

    assert (ether["lastPrice"], ether["priceChangePercent"]) == ("2600.5", "4.000")
    assert get(simulator, "binance/api/v3/ticker/price", symbol="POLUSDT").json()["price"] == "0.4512"


def test_metadata_listing_pools_and_rows_are_changed_while_it_runs(simulator: RunningSimulator) -> None:
    world = simulator.simulation.world
    link = world.named("LINK")
    world.set_metadata(link, symbol="L\u0000NK", decimals=-3, logo="javascript:alert(1)")
    world.set_listed(link, None)
    world.set_pools(link, Pool(5_000, quote=NATIVE_TOKEN, version="v4"))
    world.set_row(PLAIN_WALLET, link, tokenBalance=None, error="execution timeout")

    row = row_of(simulator, PLAIN_WALLET, link)
    assert row["tokenMetadata"] == {
        "symbol": "L\u0000NK",
        "name": "Chainlink",
        "decimals": -3,
        "logo": "javascript:alert(1)",
    }
    assert (row["tokenBalance"], row["error"]) == (None, "execution timeout")
    assert [pool["labels"] for pool in pools(simulator, link.address)] == [["v4"]]
    assert link.address not in str(get(simulator, "coingecko/api/v3/coins/list", include_platform="true").json())

    world.set_row(PLAIN_WALLET, link)
    assert int(row_of(simulator, PLAIN_WALLET, link)["tokenBalance"], 16) == 60 * 10**18


def test_a_source_that_does_not_exist_is_refused() -> None:
    world = World()
    with pytest.raises(ValueError, match="no source of prices 'reuters'"):
        world.set_source_price("reuters", world.named("LINK"), "1")


def test_the_same_is_done_from_another_process(simulator: RunningSimulator) -> None:
    def change(**what: list) -> requests.Response:
        return requests.post(f"{simulator.base_url}/admin/world", json=what, timeout=10)

    address = derived_address("told")
    token = {"chainId": 1, "tokenAddress": address}
    told = change(
        tokens=[{"symbol": "TOLD", "address": address, "price": "3", "pools": [{"depth_usd": 9000}]}],
        balances=[{**token, "wallet": WALLET, "balance": "5"}],
        sourcePrices=[{**token, "source": "alchemy", "price": "7", "ageSeconds": 60}],
        listings=[{**token, "coingeckoId": "told-coin"}],
    )
    assert told.status_code == 200
    row = row_of(simulator, WALLET, simulator.simulation.world.named("TOLD"))
    assert (int(row["tokenBalance"], 16), row["tokenPrices"][0]["value"]) == (5, "7")
    assert gecko(simulator, "told-coin")["told-coin"]["usd"] == 3
    assert len(pools(simulator, address)) == 1

    assert change(pools=[{**token, "pools": []}]).status_code == 200
    assert pools(simulator, address) == []
    assert change(balances=[{"chainId": 1, "tokenAddress": "0x1", "wallet": WALLET, "balance": 1}]).status_code == 400
