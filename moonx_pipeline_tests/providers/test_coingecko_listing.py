"""CoinGecko's listing of coins: which contracts it gives which id."""

import json
from collections.abc import Iterator

import pytest

from moonx_pipeline.domain.token_list import ListedToken
from moonx_pipeline.providers import token_lists
from moonx_pipeline.providers.coingecko_listing import CoinGeckoListing, parse_listing
from moonx_pipeline.providers.errors import Oversized
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline_tests.support.list_server import LISTING, ListServer, serving_lists

EVERYWHERE = "0x" + "1" * 40


@pytest.fixture
def lists() -> Iterator[ListServer]:
    with serving_lists() as server:
        yield server


def client() -> HttpClient:
    return HttpClient("coingecko", timeout_s=5, retries=1, retry_delay_s=0, max_body_bytes=1_000_000)


def coin(**platforms: object) -> dict[str, object]:
    return {"id": platforms.pop("id", "a"), "symbol": "a", "name": "A", "platforms": platforms}


def test_the_listing_names_the_contracts_of_coins_on_our_chains(lists: ListServer) -> None:
    platforms = ("ethereum", "polygon-pos", "optimistic-ethereum", "arbitrum-one", "base", "solana", "")
    usd_coin = {"id": "usd-coin", "symbol": "usdc", "name": "USDC", "platforms": dict.fromkeys(platforms, EVERYWHERE)}
    lists.put(LISTING, [{"id": "bitcoin", "symbol": "btc", "name": "Bitcoin", "platforms": {}}, usd_coin])

    taken = CoinGeckoListing(f"{lists.url}/api/v3/", http=client()).read(CallScope.lasting(10))

    assert lists.asked == [f"{LISTING}?include_platform=true"]
    assert taken.tokens == tuple(
        ListedToken(chain_id, EVERYWHERE, "usdc", "USDC", None, "usd-coin") for chain_id in (1, 10, 137, 8453, 42161)
    )


def test_the_version_of_the_listing_is_its_content(lists: ListServer) -> None:
    listing = CoinGeckoListing(f"{lists.url}/api/v3", http=client())
    versions = []
    for symbol in ("a", "a", "b"):
        lists.put_coins(("a", symbol, {"base": EVERYWHERE}))
        versions.append(listing.read(CallScope.lasting(10)).version)

    assert versions[0] == versions[1] != versions[2]


@pytest.mark.parametrize(
    "odd",
    [
        None,
        [],
        {},
        {"id": "b"},
        {"id": "b", "platforms": []},
        coin(id=5, base=EVERYWHERE),
        coin(id="", base=EVERYWHERE),
        coin(id="two,ids", base=EVERYWHERE),
        coin(id="b\n", base=EVERYWHERE),
        coin(id="b", base=""),
        coin(id="b", base=None),
        coin(id="b", base=5),
        coin(id="b", **{"": EVERYWHERE}),
    ],
)
def test_a_coin_that_can_not_be_asked_for_or_has_no_contract_costs_only_itself(odd: object) -> None:
    (found,) = parse_listing(json.dumps([odd, coin(ethereum=EVERYWHERE)]).encode())

    assert (found.chain_id, found.coingecko_id) == (1, "a")


def test_a_contract_of_two_coins_belongs_to_the_first() -> None:
    (found,) = parse_listing(json.dumps([coin(id="a", base=EVERYWHERE), coin(id="b", base=EVERYWHERE)]).encode())

    assert found.coingecko_id == "a"


@pytest.mark.parametrize(
    ("platform", "address"),
    [
        ("ethereum", "0x" + "0" * 40),
        ("polygon-pos", "0x0000000000000000000000000000000000001010"),
        ("optimistic-ethereum", "0xDeadDeAddeAddEAddeadDEaDDEAdDeaDDeAD0000"),
    ],
)
def test_a_native_coin_is_no_contract(platform: str, address: str) -> None:
    assert parse_listing(json.dumps([coin(**{platform: address})]).encode()) == ()


def test_more_coins_than_there_are_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_lists, "MAX_ROWS", 2)

    with pytest.raises(Oversized, match="3 rows"):
        parse_listing(json.dumps([coin(id=f"coin-{n}") for n in range(3)]).encode())
