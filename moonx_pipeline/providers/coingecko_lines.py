"""CoinGecko's price lines: what coins were worth over the last seven days, many coins a call."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec

from moonx_pipeline.domain.money import parse_price
from moonx_pipeline.providers.bodies import Checked, by_row
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.request import Request
from moonx_pipeline.providers.scope import CallScope

MOST_POINTS: Final = 168
"""One an hour for seven days."""

PriceLine = tuple[Decimal | None, ...]
"""Prices in USD, evenly over the last seven days, oldest first; ``None`` where one is no price."""


class _Sparkline(msgspec.Struct):
    price: list[Decimal | None] = []


class _Coin(msgspec.Struct):
    id: str
    sparkline_in_7d: _Sparkline | None = None


_decode = by_row(
    msgspec.json.Decoder(list[_Coin]), msgspec.json.Decoder(list[msgspec.Raw]), msgspec.json.Decoder(_Coin)
)


def read_price_lines(http: HttpClient, base_url: str, ids: Sequence[str], scope: CallScope) -> dict[str, PriceLine]:
    """The lines of coins by CoinGecko's ids, in one call; a coin without one is left out.

    Args:
        http: The client, with ``coingecko`` as its provider and the key in its headers, if there is one.
        base_url: Such as ``https://api.coingecko.com/api/v3``, without a slash at its end.
        ids: At most ``COINS_A_CALL``.
        scope: Deadline and tally.

    Raises:
        ProviderError: CoinGecko did not answer.
    """
    answer = Checked(http.provider, _decode)
    request = Request(
        "GET",
        f"{base_url}/coins/markets",
        "markets",
        params={
            "vs_currency": "usd",
            "ids": ",".join(ids),
            "per_page": str(len(ids)),
            "sparkline": "true",
            "precision": "full",
        },
    )
    http.send(request, answer, scope=scope)
    wanted = set(ids)
    lines = {coin.id: _line(coin.sparkline_in_7d) for coin in answer.value if coin.id in wanted}
    return {coin: line for coin, line in lines.items() if line is not None}


def _line(sparkline: _Sparkline | None) -> PriceLine | None:
    points = tuple(_price(point) for point in (sparkline.price if sparkline else ())[-MOST_POINTS:])
    return points if sum(point is not None for point in points) >= 2 else None


def _price(point: Decimal | None) -> Decimal | None:
    try:
        return (parse_price(point) or None) if point is not None else None
    except ValueError:
        return None
