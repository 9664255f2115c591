"""A portfolio as JSON and CSV: what filters leave, what shares sum to, what a spreadsheet must not run."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonx_pipeline.domain.flags import LOW_LIQUIDITY, OLD_PRICE, PRICE_JUMP, SUSPECTED
from moonx_pipeline.domain.portfolio import Position
from moonx_pipeline.domain.valuation import totals_of
from moonx_pipeline.storage.portfolios.portfolio import ChainState, StoredPortfolio
from moonx_pipeline.storage.portfolios.series import Reading, Series
from moonx_pipeline.views.csv import positions_csv
from moonx_pipeline.views.history import history_json
from moonx_pipeline.views.portfolio import holdings_json, portfolio_json, quick_json
from moonx_pipeline_tests.support.rows import NOON, position, token


def stored(*positions: Position, unread: int = 0) -> StoredPortfolio:
    chains = (ChainState(1, "fresh", NOON, None, False),)
    return StoredPortfolio("ann", 7, NOON, None, positions, totals_of(positions, (), unread), chains)


_MIXED = stored(
    position(1, balance=4_000_000, price="2"),
    position(2, chain_id=137, balance=1_000_000, price="2"),
    position(3, chain_id=137, price=None),
    position(4, chain_id=10, price="1000", spam=("link_in_name",)),
    position(5, chain_id=8453, price="1000")._replace(flags=(PRICE_JUMP,)),
)


def tokens(data: dict) -> list[int]:
    return [int(shown["tokenAddress"], 16) for shown in data["positions"]]


def test_filters_leave_positions_out_and_totals_are_of_the_whole() -> None:
    whole = portfolio_json(_MIXED)

    assert tokens(whole) == [1, 2, 3, 5]
    assert tokens(portfolio_json(_MIXED, include_spam=True)) == [1, 2, 3, 4, 5]
    assert tokens(portfolio_json(_MIXED, chain_ids={137, 10})) == [2, 3]
    assert tokens(portfolio_json(_MIXED, chain_ids=set())) == []
    assert tokens(portfolio_json(_MIXED, min_value=Decimal("2.000001"))) == [1, 3, 5]
    assert tokens(portfolio_json(_MIXED, min_value=Decimal(2))) == [1, 2, 3, 5]
    filtered = portfolio_json(_MIXED, chain_ids={137}, min_value=Decimal(5))
    assert {**filtered, "positions": None} == {**whole, "positions": None}
    assert filtered["totalValueUsd"] == "10"


def test_chain_that_was_not_read_has_its_reason_as_a_code() -> None:
    failed = ChainState(137, "stale", NOON, "It took too long.", False, error_code="timeout")
    earlier = ChainState(10, "stale", NOON, "It took too long.", False)
    portfolio = stored()._replace(chains=(failed, earlier))

    shown = portfolio_json(portfolio)["chains"]

    assert [(chain["error"], chain["errorCode"]) for chain in shown] == [
        ("It took too long.", "timeout"),
        ("It took too long.", None),
    ]


def test_what_counts_has_its_share_of_the_whole_total() -> None:
    data = holdings_json(_MIXED, include_spam=True)

    assert [p["allocationPercent"] for p in data["positions"]] == ["80", "20", None, None, None]
    assert [p["allocationPercent"] for p in holdings_json(_MIXED, chain_ids={137})["positions"]] == ["20", None]
    assert {key: data[key] for key in ("totalValueUsd", "version", "complete")} == {
        "totalValueUsd": "10",
        "version": 7,
        "complete": True,
    }


@given(
    values=st.lists(
        st.one_of(st.integers(0, 10**30), st.just(1), st.none()).flatmap(
            lambda balance: st.tuples(st.just(balance), st.booleans())
        ),
        max_size=40,
    )
)
def test_shares_sum_to_100_up_to_rounding(values) -> None:
    positions = [
        position(n, balance=balance or 1, price=None if balance is None else "0.37")._replace(
            flags=(PRICE_JUMP,) if flagged else ()
        )
        for n, (balance, flagged) in enumerate(values)
    ]
    portfolio = stored(*positions)

    shares = [p["allocationPercent"] for p in holdings_json(portfolio)["positions"]]

    assert [share is not None for share in shares] == [p.not_counted_reason is None for p in positions]
    counted = [Decimal(share) for share in shares if share is not None]
    assert all(share == share.quantize(Decimal("0.01")) and 0 <= share <= 100 for share in counted)
    expected = 100 if portfolio.totals.value_usd else 0
    assert abs(sum(counted) - expected) <= Decimal("0.005") * len(counted)


def test_the_totals_alone_count_without_spam() -> None:
    assert quick_json(_MIXED) == {
        "userId": "ann",
        "version": 7,
        "asOf": "2026-03-02T12:00:00.000Z",
        "totalValueUsd": "10",
        "complete": True,
        "omitted": {"unpriced": 1, "spam": 1, "flagged": 1, "lowLiquidity": 0, "unread": 0, "staleChains": []},
        "totalTokens": 4,
        "totalChains": 3,
    }


@pytest.mark.parametrize(
    ("held", "reason"),
    [
        (position(1), None),
        (position(1)._replace(flags=(OLD_PRICE,)), None),
        (position(1, spam=("link_in_name",)), "spam"),
        (position(1, price=None)._replace(flags=(PRICE_JUMP,)), "unpriced"),
        (position(1, decimals=None), "unpriced"),
        (position(1)._replace(flags=(LOW_LIQUIDITY, PRICE_JUMP)), "low_liquidity"),
        (position(1)._replace(flags=(OLD_PRICE, PRICE_JUMP)), "price_jump"),
        (position(1)._replace(flags=(SUSPECTED,)), "suspected"),
    ],
)
def test_each_position_says_whether_it_is_counted_and_why_not(held: Position, reason: str | None) -> None:
    portfolio = stored(held, position(2, balance=10**6, price="3"))

    for data in (portfolio_json(portfolio, include_spam=True), holdings_json(portfolio, include_spam=True)):
        shown = data["positions"][0]
        assert (shown["isCounted"], shown["notCountedReason"]) == (reason is None, reason)
        assert data["totalValueUsd"] == ("6.75" if reason is None else "3")
    (line, _) = lines(*portfolio.positions)
    assert (line["isCounted"], line["notCountedReason"]) == (str(reason is None), reason or "")


def test_what_can_hardly_be_sold_and_what_could_not_be_read_are_counts_of_their_own() -> None:
    thin = [position(n)._replace(flags=(LOW_LIQUIDITY,)) for n in (1, 2)]
    portfolio = stored(position(3), position(4)._replace(flags=(SUSPECTED,)), *thin, unread=3)

    data = portfolio_json(portfolio)

    assert data["omitted"] == {
        "unpriced": 0, "spam": 0, "flagged": 1, "lowLiquidity": 2, "unread": 3, "staleChains": []
    }  # fmt: skip
    assert data["complete"] is False
    assert {p["notCountedReason"] for p in data["positions"]} == {None, "suspected", "low_liquidity"}


def test_a_total_of_before_they_were_counted_does_not_say_that_there_were_none() -> None:
    before = {"unpriced": 1, "spam": 2, "flagged": 0, "staleChains": [137]}
    since = {**before, "lowLiquidity": 4, "unread": 0}
    readings = [Reading(NOON, Decimal(5), omitted) for omitted in (before, since, None)]
    series = Series(1, timedelta(minutes=15), timedelta(minutes=45), readings[0], readings)

    data = history_json(series)

    unknown = {**before, "lowLiquidity": None, "unread": None}
    assert data["before"]["omitted"] == unknown
    assert [point["omitted"] for point in data["points"]] == [unknown, since, None]


def lines(*positions: Position) -> list[dict[str, str]]:
    data = portfolio_json(stored(*positions), include_spam=True)
    return list(csv.DictReader(io.StringIO(positions_csv(data["positions"]), newline="")))


def test_csv_has_a_line_a_position_with_all_that_the_json_has() -> None:
    data = portfolio_json(_MIXED, include_spam=True)["positions"]

    found = lines(*_MIXED.positions)

    assert [list(line) for line in found] == [list(shown) for shown in data]
    assert [line["valueUsd"] for line in found] == ["8", "2", "", "2500", "2500"]
    assert [line["tokenAddress"] for line in found] == [token(n) for n in range(1, 6)]
    assert found[3]["spamReasons"] == "link_in_name"


def test_csv_of_nothing_still_names_its_columns() -> None:
    assert positions_csv([]).splitlines() == [",".join(portfolio_json(_MIXED)["positions"][0])]


@pytest.mark.parametrize(
    "name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\tx", "\rx", '=HYPERLINK("http://x")']
)
def test_a_name_that_a_spreadsheet_would_run_is_quoted(name: str) -> None:
    (line,) = lines(position(1, symbol=name)._replace(name=name, logo_url=name))

    assert (line["symbol"], line["name"], line["logoUrl"]) == ("'" + name,) * 3


@pytest.mark.parametrize("name", ["USDC", "a=b", 'say "hi", twice', "two\nlines", ""])
def test_any_other_name_comes_back_as_it_is(name: str) -> None:
    (line,) = lines(position(1, symbol=name))

    assert line["symbol"] == name
