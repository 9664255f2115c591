"""The portfolio in a terminal: what its total leaves out, in words, and why a row is not in it."""

from __future__ import annotations

import pytest
from rich.console import Console

from moonx_pipeline.domain.flags import BALANCE_UNKNOWN, EXCEEDS_LIQUIDITY, LOW_LIQUIDITY, OLD_PRICE, PRICE_JUMP
from moonx_pipeline.domain.portfolio import Position
from moonx_pipeline.domain.valuation import totals_of
from moonx_pipeline.storage.portfolios.portfolio import ChainState, StoredPortfolio
from moonx_pipeline.views.tables import honest_line, portfolio_table
from moonx_pipeline_tests.support.rows import NOON, position


def stored(*positions: Position, unread: int = 0) -> StoredPortfolio:
    chains = (ChainState(1, "fresh", NOON, None, False),)
    return StoredPortfolio("ann", 7, NOON, None, positions, totals_of(positions, (), unread), chains)


def printed(portfolio: StoredPortfolio, *, width: int = 200, fold: bool = False, include_spam: bool = True) -> str:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(portfolio_table(portfolio, include_spam=include_spam, fold=fold))
    return capture.get()


def test_all_that_the_total_leaves_out_is_said_in_words() -> None:
    line = honest_line(
        stored(
            position(1),
            position(2, price=None),
            position(3)._replace(flags=(LOW_LIQUIDITY,)),
            position(4)._replace(flags=(LOW_LIQUIDITY,)),
            position(5)._replace(flags=(PRICE_JUMP,)),
            position(6, spam=("link_in_name",)),
            unread=1,
        )
    )

    assert line.split(" · ") == [
        "1 token's balance could not be read",
        "1 token has no price",
        "2 positions have too little liquidity to be counted",
        "1 position has a price that can't be trusted",
        "1 spam token hidden",
    ]


def test_where_nothing_is_left_out_all_chains_are_read() -> None:
    assert honest_line(stored(position(1))) == "1 chain read"


@pytest.mark.parametrize(
    ("flags", "note"),
    [
        ((LOW_LIQUIDITY,), "low liquidity (not counted)"),
        ((EXCEEDS_LIQUIDITY, OLD_PRICE), "exceeds liquidity (not counted), old price"),
        ((BALANCE_UNKNOWN, OLD_PRICE), "balance unknown, old price"),
    ],
)
def test_a_row_says_why_it_is_not_counted_and_what_else_to_know(flags: tuple[str, ...], note: str) -> None:
    row = printed(stored(position(1)._replace(flags=flags))).splitlines()[1]

    assert row.split("$3.75")[1].strip() == note


def test_a_hidden_row_says_what_is_suspicious_about_it() -> None:
    assert "link in name" in printed(stored(position(1, spam=("link_in_name",))))


LARGEST = 2**256 - 1


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_the_largest_balance_hides_nothing_of_any_row(width: int) -> None:
    portfolio = stored(
        position(1, symbol="USDC"),
        position(2, symbol="HUGE", balance=LARGEST, decimals=0, price="123456.789"),
        position(3, symbol="TINY", balance=1, decimals=18, price="0.000000000000001234"),
        position(4, symbol="[/x] [red]", price="12345.678")._replace(flags=(LOW_LIQUIDITY, OLD_PRICE)),
    )

    text = printed(portfolio, width=width)

    for shown in ("USDC", "HUGE", "TINY", "[/x] [red]", "2.5", "1.158e77", "$123,457", "$1.43e82", "$12,345.7"):
        assert shown in text
    for shown in ("1e-18", "$1.234e-15", "<$0.01", "$30,864.20", "low liquidity", "old price"):
        assert shown in text
    assert text.count("Ethereum") == 4
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("width", [40, 60, 80])
def test_rows_without_a_note_are_whole_at_any_width(width: int) -> None:
    portfolio = stored(position(1, symbol="A" * 60), position(2, balance=LARGEST, decimals=0, price="123456.789"))

    text = printed(portfolio, width=width)

    assert all(shown in text for shown in ("1.158e77", "$123,457", "$1.43e82", "$3.75", "$1.5"))
    assert text.count("Ethereum") == 2
    assert max(map(len, text.splitlines())) <= width


def test_what_has_no_value_is_one_line_with_its_count_unless_asked_for() -> None:
    portfolio = stored(
        position(1),
        position(2, symbol="NONE", price=None),
        position(3, symbol="NIL", balance=0),
        position(4, symbol="SPAM", price=None, spam=("link_in_name",)),
    )

    folded = printed(portfolio, fold=True, include_spam=False)
    assert "… and 2 tokens without a value (--all shows)" in folded
    assert not any(name in folded for name in ("NONE", "NIL", "SPAM"))
    everything = printed(portfolio, include_spam=False)
    assert "without a value" not in everything
    assert all(name in everything for name in ("NONE", "NIL"))
    asked_for_spam = printed(portfolio, fold=True)
    assert "SPAM" in asked_for_spam
    assert "… and 2 tokens" in asked_for_spam
