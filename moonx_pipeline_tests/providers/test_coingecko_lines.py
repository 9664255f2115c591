"""CoinGecko's price lines, as far as the simulator does not say such things."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from moonx_pipeline.providers.coingecko import CoinGecko
from moonx_pipeline.providers.coingecko_lines import MOST_POINTS
from moonx_pipeline.providers.errors import Malformed
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline_tests.support.list_server import ListServer, serving_lists

MARKETS = "/api/v3/coins/markets"


@pytest.fixture
def server() -> Iterator[ListServer]:
    with serving_lists() as server:
        yield server


def ask(server: ListServer, *ids: str) -> dict[str, Any]:
    http = HttpClient("coingecko", timeout_s=5, retries=1, retry_delay_s=0, max_body_bytes=1_000_000)
    return CoinGecko(f"{server.url}/api/v3", http=http, has_key=False).price_lines(ids, CallScope.lasting(10))


def row(coin: str, *prices: object) -> dict[str, object]:
    return {"id": coin, "sparkline_in_7d": {"price": list(prices)}}


def test_all_coins_are_asked_for_in_one_call(server: ListServer) -> None:
    server.put(MARKETS, [row("ethereum", 1, 2), row("dai", 1.5, 1e-9)])

    assert ask(server, "ethereum", "dai") == {
        "ethereum": (Decimal(1), Decimal(2)),
        "dai": (Decimal("1.5"), Decimal("1e-9")),
    }
    assert server.asked == [f"{MARKETS}?vs_currency=usd&ids=ethereum%2Cdai&per_page=2&sparkline=true&precision=full"]


@pytest.mark.parametrize(
    "odd",
    [
        None,
        {},
        {"id": "dai"},
        {"id": 5, "sparkline_in_7d": {"price": [1, 2]}},
        {"id": "dai", "sparkline_in_7d": None},
        {"id": "dai", "sparkline_in_7d": []},
        {"id": "dai", "sparkline_in_7d": {"price": "1"}},
        row("dai"),
        row("dai", 1),
        row("dai", None, 0, 1),
        row("not-asked-for", 1, 2),
    ],
)
def test_a_row_without_a_line_costs_only_itself(server: ListServer, odd: object) -> None:
    server.put(MARKETS, [odd, row("ethereum", 1, 2)])

    assert ask(server, "dai", "ethereum") == {"ethereum": (Decimal(1), Decimal(2))}


def test_what_is_no_price_is_unknown_and_keeps_its_place(server: ListServer) -> None:
    server.put(MARKETS, [row("dai", 1, None, 0, -2, 3)])

    assert ask(server, "dai") == {"dai": (Decimal(1), None, None, None, Decimal(3))}


def test_of_too_many_points_the_last_week_is_taken(server: ListServer) -> None:
    server.put(MARKETS, [row("dai", *range(1, 400))])

    assert ask(server, "dai")["dai"] == tuple(Decimal(n) for n in range(400 - MOST_POINTS, 400))


def test_an_answer_that_is_no_list_is_malformed(server: ListServer) -> None:
    server.put(MARKETS, {"coins": []})

    with pytest.raises(Malformed):
        ask(server, "dai")
