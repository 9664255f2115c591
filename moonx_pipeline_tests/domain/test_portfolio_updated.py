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
from moonx_pipeline.domain.flags import LOW_LIQUIDITY, OLD_PRICE, PRICE_JUMP, SUSPECTED
from moonx_pipeline.domain.portfolio import Position
from moonx_pipeline.domain.valuation import totals_of
from moonx_pipeline_tests.support.examples import envelope, portfolios, updated, without_floats
from moonx_pipeline_tests.support.rows import OTHER_WALLET, WALLET, position, token


def test_an_updated_portfolio_tells_its_tokens_and_what_is_left_out() -> None:
    counted = position(1, price="1.50")._replace(change_24h=Decimal("-0.5"), flags=(OLD_PRICE,))
    unpriced = position(5, price=None, symbol=None, decimals=None)
    positions = (
        counted,
        position(2, price="1E-7"),
        position(3, price="9")._replace(flags=(PRICE_JUMP,)),
        position(4, price="9")._replace(flags=(LOW_LIQUIDITY,)),
        position(6, price="9")._replace(flags=(SUSPECTED,)),
        position(7, price="9", spam=("link_in_name",)),
        unpriced,
        unpriced._replace(wallet=OTHER_WALLET, chain_id=137, token=token(9)),
    )
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
        "isCounted": True,
        "notCountedReason": None,
    }
    nothing_known = {
        **dict.fromkeys(("symbol", "amount", "priceUsd", "valueUsd", "change24h")),
        "isCounted": False,
        "notCountedReason": "unpriced",
    }
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
        "omitted": {"unpriced": 2, "spam": 1, "flagged": 2, "lowLiquidity": 1, "unread": 0, "staleChains": [137]},
        "syncDuration": 1500,
        "updatedAt": "2026-03-02T12:00:01.500Z",
    }
    assert event.payload == envelope(event, "portfolio.updated", "2026-03-02T12:00:01.500Z", data)


def test_an_event_carries_at_most_a_hundred_tokens_the_largest_and_counts_all() -> None:
    count = MAX_TOKENS + 20
    spam = position(count, balance=count, decimals=0, price="2", spam=("lure_in_name",))
    # The most valuable is spam: it takes no place of the hundred.
    positions = (spam, *(position(n, balance=n, decimals=0, price="2") for n in range(count - 1, 0, -1)))
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
    shown = [p for p in positions if p.not_counted_reason in (None, "unpriced")]
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
        assert (row["isCounted"], row["notCountedReason"]) == (p.not_counted_reason is None, p.not_counted_reason)
    values = [Fraction(row["valueUsd"]) for row in data["tokens"] if row["valueUsd"] is not None]
    assert Fraction(data["totalValueUsd"]) == sum(values)
    omitted = data["omitted"]
    assert len(positions) - len(shown) == omitted["spam"] + omitted["flagged"] + omitted["lowLiquidity"]


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
