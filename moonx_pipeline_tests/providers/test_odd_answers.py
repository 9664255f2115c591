"""Whatever a source of prices or a list puts into its answer, what can be read of it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from moonx_pipeline.domain.portfolio import TokenKey
from moonx_pipeline.domain.quotes import PriceSource
from moonx_pipeline.providers.bodies import UNREADABLE
from moonx_pipeline.providers.coingecko_listing import parse_listing
from moonx_pipeline.providers.errors import ProviderError
from moonx_pipeline.providers.node_answers import decode_responses
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.providers.token_lists import parse_token_list
from moonx_pipeline.settings import Settings
from moonx_pipeline.sync.runtime import Runtime, open_runtime
from moonx_pipeline_tests.fixtures.simulator import FAST, UNLIMITED
from moonx_pipeline_tests.support.list_server import ListServer, serving_lists
from moonx_pipeline_tests.support.odd_json import encoded, odd_rows, odd_values
from moonx_pipeline_tests.support.quote_rounds import second_opinion

Good = dict[str, object]
TOKEN, OTHER = "0x" + "a" * 40, "0x" + "b" * 40
AT = 1_790_000_000

TICKER: Good = {"symbol": "ETHUSDT", "lastPrice": "2.5", "priceChangePercent": "1", "closeTime": AT * 1000}
GECKO: Good = {"usd": 2.5, "usd_24h_change": 1, "last_updated_at": AT}
LLAMA: Good = {"price": 2.5, "confidence": 0.99, "timestamp": AT}
POOL: Good = {
    "chainId": "ethereum",
    "dexId": "x",
    "pairAddress": "0x1",
    "baseToken": {"address": TOKEN},
    "quoteToken": {"address": OTHER},
    "priceUsd": "2.5",
    "priceNative": "1",
    "liquidity": {"usd": 5, "base": 1, "quote": 1},
}
LISTED: Good = {"chainId": 1, "address": TOKEN, "symbol": "T", "name": "T", "decimals": 18}
COIN: Good = {"id": "coin", "symbol": "t", "name": "T", "platforms": {"ethereum": TOKEN}}
RESPONSE: Good = {"jsonrpc": "2.0", "id": 1, "result": "0x7"}

bounded = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


class Source:
    """A server that answers each request with the body that a test has set."""

    _PATHS: Final = (
        "/api/v3/ticker/24hr",
        "/simple/price",
        f"/prices/current/ethereum:{TOKEN}",
        f"/tokens/v1/ethereum/{TOKEN}",
    )

    def __init__(self, lists: ListServer) -> None:
        self._lists = lists
        self.url = lists.url

    def answer(self, body: bytes) -> None:
        for path in self._PATHS:
            self._lists.put(path, body, content_type="application/json")


@pytest.fixture(scope="module")
def source() -> Iterator[Source]:
    with serving_lists() as lists:
        yield Source(lists)


@pytest.fixture
def asked(source: Source, engine: Engine) -> Runtime:
    """The pipeline's clients; all ask the server."""
    names = ("BINANCE", "COINGECKO", "DEXSCREENER", "DEFILLAMA")
    urls = {f"{name}_BASE_URL": source.url for name in names}
    return open_runtime(Settings.from_environment({**FAST, **UNLIMITED, **urls, "ALCHEMY_RETRIES": "1"}), engine)


def listed(rows: list[bytes]) -> bytes:
    return b"[" + b",".join(rows) + b"]"


def keyed(good_key: str, rows: list[bytes]) -> bytes:
    """Rows by key; the last one is the good one."""
    keys = [*(f"odd{number}" for number in range(len(rows) - 1)), good_key]
    return b"{" + b",".join(b'"' + key.encode() + b'":' + row for key, row in zip(keys, rows, strict=True)) + b"}"


@bounded
@given(odd=st.lists(odd_rows(TICKER), max_size=3))
def test_an_odd_ticker_costs_no_other(asked: Runtime, source: Source, odd: list[bytes]) -> None:
    source.answer(listed([*odd, encoded(TICKER)]))

    found = asked.providers.binance.prices(["ETHUSDT"], CallScope.lasting(20))
    assert found["ETHUSDT"].price == Decimal("2.5")


@bounded
@given(odd=st.lists(odd_rows(GECKO), max_size=3))
def test_an_odd_price_of_coingecko_costs_no_other(asked: Runtime, source: Source, odd: list[bytes]) -> None:
    source.answer(keyed("coin", [*odd, encoded(GECKO)]))

    found = asked.providers.coingecko.coin_prices(["coin"], CallScope.lasting(20))
    assert found["coin"].price_usd == Decimal("2.5")


@bounded
@given(odd=st.lists(odd_rows(LLAMA), max_size=3))
def test_an_odd_price_of_defillama_costs_no_other(asked: Runtime, source: Source, odd: list[bytes]) -> None:
    source.answer(b'{"coins":' + keyed(f"ethereum:{TOKEN}", [*odd, encoded(LLAMA)]) + b"}")

    key = TokenKey(1, TOKEN)
    found = second_opinion(asked, PriceSource.DEFILLAMA).prices([key], CallScope.lasting(20))
    assert found[key].price_usd == Decimal("2.5")


@bounded
@given(odd=st.lists(odd_rows(POOL), max_size=3))
def test_an_odd_pool_costs_no_other(asked: Runtime, source: Source, odd: list[bytes]) -> None:
    source.answer(listed([*odd, encoded(POOL)]))

    found = asked.providers.dexscreener.pools(1, [TOKEN], CallScope.lasting(20))
    assert any(pool.base_address == TOKEN and pool.quote_address == OTHER for pool in found.pools)


@bounded
@given(body=odd_values)
def test_an_answer_that_is_none_is_a_providers_error(asked: Runtime, source: Source, body: bytes) -> None:
    source.answer(body)
    providers = asked.providers
    calls: list[Callable[[CallScope], object]] = [
        lambda scope: providers.binance.prices(["ETHUSDT"], scope),
        lambda scope: providers.coingecko.coin_prices(["coin"], scope),
        lambda scope: providers.dexscreener.pools(1, [TOKEN], scope),
        lambda scope: second_opinion(asked, PriceSource.DEFILLAMA).prices([TokenKey(1, TOKEN)], scope),
    ]
    for call in calls:
        with suppress(ProviderError):
            call(CallScope.lasting(20))


@given(odd=st.lists(odd_rows(LISTED), max_size=4))
def test_an_odd_token_of_a_list_costs_no_other(odd: list[bytes]) -> None:
    body = b'{"name":"l","version":{"major":1,"minor":0,"patch":0},"tokens":' + listed([*odd, encoded(LISTED)]) + b"}"

    _, tokens = parse_token_list(body)
    assert [(token.chain_id, token.token_address) for token in tokens].count((1, TOKEN)) == 1


@given(odd=st.lists(odd_rows(COIN), max_size=4))
def test_an_odd_coin_of_the_listing_costs_no_other(odd: list[bytes]) -> None:
    tokens = parse_listing(listed([*odd, encoded(COIN)]))

    assert [(token.chain_id, token.token_address) for token in tokens].count((1, TOKEN)) == 1


@given(odd=st.lists(odd_rows(RESPONSE, frozenset({"id"})), max_size=4))
def test_an_odd_response_of_a_node_costs_no_other(odd: list[bytes]) -> None:
    found = decode_responses(listed([*odd, encoded({**RESPONSE, "id": 2})]))

    assert isinstance(found, list)
    assert [response.answer for response in found if response.number == 2] == ["0x7"]
    for response in found:
        assert response.answer is not None


@given(body=odd_values | st.binary(max_size=40))
def test_what_is_no_list_is_unreadable_and_nothing_else(body: bytes) -> None:
    for parse in (parse_token_list, parse_listing, decode_responses):
        with suppress(*UNREADABLE, ProviderError):
            parse(body)
