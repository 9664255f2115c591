"""The digest that says whether a portfolio changed."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonx_pipeline.domain.chains import NATIVE_TOKEN
from moonx_pipeline.domain.content_hash import content_hash
from moonx_pipeline.domain.holdings import Holding
from moonx_pipeline.domain.portfolio import Position, TokenInfo
from moonx_pipeline.domain.valuation import Valuer
from moonx_pipeline_tests.support.examples import (
    OTHER_WALLET,
    WALLET,
    evidence,
    key_of,
    market_of,
    portfolios,
    quote,
    token,
)

STALE = [(WALLET, 1), (OTHER_WALLET, 1), (WALLET, 137)]


@given(portfolios(), st.data())
def test_the_digest_does_not_depend_on_order(positions: tuple[Position, ...], data: st.DataObject) -> None:
    stale = data.draw(st.permutations(STALE))
    assert content_hash(data.draw(st.permutations(positions)), stale) == content_hash(positions, STALE)


@given(portfolios())
def test_the_digest_does_not_depend_on_times_nor_on_how_a_number_is_written(positions: tuple[Position, ...]) -> None:
    def rewritten(number: Decimal | None) -> Decimal | None:
        return None if number is None else Decimal(f"{number:f}" + ("0" if "." in f"{number:f}" else ".0"))

    again = [
        p._replace(
            price_at=p.price_at and p.price_at + timedelta(hours=1),
            price_usd=rewritten(p.price_usd),
            change_24h=rewritten(p.change_24h),
        )
        for p in positions
    ]
    assert content_hash(again, []) == content_hash(positions, [])


(BASIS,) = Valuer(
    {key_of(): TokenInfo("TKN", "Token", 6, "https://logos.test/1.png")},
    market_of({key_of(): evidence(quote("coingecko", "1.5", change="2"))}),
).positions([Holding(WALLET, 1, token(1), 2_500_000, ("a_flag",))])


@pytest.mark.parametrize(
    "change",
    [
        {"wallet": OTHER_WALLET},
        {"chain_id": 10},
        {"token": NATIVE_TOKEN},
        {"symbol": "TKM"},
        {"symbol": None},
        {"symbol": "None"},
        {"name": "Tokem"},
        {"decimals": 7},
        {"decimals": None},
        {"balance": 2_500_001},
        {"price_usd": Decimal("1.500000000000000000000000000000000000001")},
        {"price_usd": None},
        {"price_source": "binance"},
        {"change_24h": Decimal(-2)},
        {"change_24h": None},
        {"spam_reasons": ("link_in_name",)},
        {"is_verified": False},
        {"flags": ()},
        {"logo_url": "https://logos.test/2.png"},
    ],
    ids=str,
)
def test_the_digest_changes_with_each_thing_that_is_stored(change: dict[str, Any]) -> None:
    other = BASIS._replace(**change)
    assert content_hash([other], []) != content_hash([BASIS], [])


def test_the_digest_changes_with_what_is_stale_and_with_each_position() -> None:
    second = BASIS._replace(token=token(2))
    digests = [
        content_hash([], []),
        content_hash([BASIS], []),
        content_hash([BASIS, second], []),
        content_hash([BASIS], [(WALLET, 1)]),
        content_hash([BASIS], [(WALLET, 10)]),
        content_hash([BASIS], [(OTHER_WALLET, 1)]),
        content_hash([BASIS], [(WALLET, 1), (WALLET, 10)]),
        content_hash([BASIS], [], {(WALLET, 1): 1}),
        content_hash([BASIS], [], {(WALLET, 1): 2}),
        content_hash([BASIS], [], {(WALLET, 10): 1}),
        content_hash([BASIS], [(WALLET, 1)], {(WALLET, 1): 1}),
    ]
    assert len(set(digests)) == len(digests)
    assert {len(digest) for digest in digests} == {16}
    assert content_hash([BASIS], [], {(WALLET, 1): 0}) == content_hash([BASIS], [])
