"""The event that carries a portfolio."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import msgspec
from hypothesis import given

from moonx_pipeline.domain.events import MAX_TOKENS
from moonx_pipeline.domain.holdings import Holding
from moonx_pipeline.domain.portfolio import Position, TokenInfo, TokenKey
from moonx_pipeline.domain.pricing import PRICE_JUMP
from moonx_pipeline.domain.valuation import Valuer, is_counted, totals_of
from moonx_pipeline_tests.domain.examples import (
    LIMITS,
    OTHER_WALLET,
    WALLET,
    envelope,
    portfolios,
    price,
    token,
    updated,
    without_floats,
)


def test_an_updated_portfolio_tells_its_tokens_and_what_is_left_out() -> None:
    clean, spam = TokenInfo("TKN", "Token", 6), TokenInfo("TKN", "visit drop.com", 6)
    keys = [TokenKey(1, token(n)) for n in range(1, 6)]
    positions = Valuer(
        {keys[0]: clean, keys[1]: clean, keys[2]: clean, keys[3]: spam},
        {
            keys[0]: price("1.50", change="-0.5"),
            keys[1]: price("1E-7"),
            keys[2]: price("9", flags=(PRICE_JUMP,)),
            keys[3]: price("9"),
        },
        LIMITS,
    ).positions([Holding(WALLET, *key, 2_500_000) for key in keys] + [Holding(OTHER_WALLET, 137, token(9), 1)])
    event = updated(positions, stale=(137,))
    data = event.payload["data"]
    first = {
        "walletAddress": WALLET,
        "chainId": 1,
        "tokenAddress": token(1),
        "symbol": "TKN",
        "amount": "2.5",
        "priceUsd": "1.5",
        "valueUsd": Decimal("3.75"),
        "change24h": "-0.5",
    }
    nothing_known = {"symbol": None, "amount": None, "priceUsd": None, "valueUsd": None, "change24h": None}
    small = {"tokenAddress": token(2), "priceUsd": "0.0000001", "valueUsd": Decimal("0.00000025"), "change24h": None}
    assert data.pop("tokens") == [
        first,
        {**first, **small},
        {**first, **nothing_known, "tokenAddress": token(5)},
        {**first, **nothing_known, "walletAddress": OTHER_WALLET, "chainId": 137, "tokenAddress": token(9)},
    ]
    assert data == {
        "syncOperationId": str(UUID(int=1)),
        "totalValueUsd": Decimal("3.75000025"),
        "totalTokens": 4,
        "totalChains": 2,
        "omitted": {"unpriced": 2, "spam": 1, "flagged": 1, "staleChains": [137]},
        "syncDuration": 1500,
        "updatedAt": "2026-03-02T12:00:01.500Z",
    }
    assert event.payload == envelope(event, "portfolio.updated", "2026-03-02T12:00:01.500Z", data)


def test_an_event_carries_at_most_a_hundred_tokens_the_largest_and_counts_all() -> None:
    count = MAX_TOKENS + 20
    clean = TokenInfo("TKN", "Token", 0)
    keys = [TokenKey(1, token(n)) for n in range(1, count + 1)]
    positions = Valuer(
        # The most valuable is spam: it takes no place of the hundred.
        {key: clean._replace(name="claim now") if key is keys[-1] else clean for key in keys},
        dict.fromkeys(keys, price("2")),
        LIMITS,
    ).positions([Holding(WALLET, *key, n) for n, key in enumerate(keys, 1)])
    data = updated(positions).payload["data"]
    assert MAX_TOKENS == 100
    assert [t["valueUsd"] for t in data["tokens"]] == [2 * n for n in range(count - 1, count - 1 - MAX_TOKENS, -1)]
    assert data["totalTokens"] == count - 1
    assert data["totalValueUsd"] == sum(2 * n for n in range(1, count))


@given(portfolios())
def test_an_event_shows_exactly_the_positions_that_are_neither_spam_nor_kept_out(
    positions: tuple[Position, ...],
) -> None:
    data = updated(positions).payload["data"]
    shown = [p for p in positions if not p.is_spam and (p.value_usd is None or is_counted(p))]
    places = [(t["walletAddress"], t["chainId"], t["tokenAddress"]) for t in data["tokens"]]
    assert places == [(p.wallet, p.chain_id, p.token) for p in shown]
    for row, p in zip(data["tokens"], shown, strict=True):
        for text, number in (
            (row["amount"], p.amount),
            (row["priceUsd"], p.price_usd),
            (row["change24h"], p.change_24h),
        ):
            assert (text is None) == (number is None)
            assert text is None or Decimal(text) == number
        assert row["valueUsd"] == p.value_usd
    values = [Fraction(row["valueUsd"]) for row in data["tokens"] if row["valueUsd"] is not None]
    assert Fraction(data["totalValueUsd"]) == sum(values)
    omitted = data["omitted"]
    assert len(positions) - len(shown) == omitted["spam"] + omitted["flagged"]


@given(portfolios())
def test_on_the_wire_numbers_are_exact_and_decimals_have_no_exponent(positions: tuple[Position, ...]) -> None:
    totals = totals_of(positions, [])
    event = updated(positions)
    assert without_floats(event)
    read = json.loads(msgspec.json.Encoder(decimal_format="number").encode(event.payload), parse_float=Decimal)
    assert read == event.payload
    assert read["data"]["totalValueUsd"] == totals.value_usd
    for row in read["data"]["tokens"]:
        for text in (row["amount"], row["priceUsd"], row["change24h"]):
            assert text is None or re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?", text)
