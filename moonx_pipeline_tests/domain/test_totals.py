"""A total, what it leaves out, and why a position is not in it."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from moonx_pipeline.domain import flags
from moonx_pipeline.domain.chains import BASE
from moonx_pipeline.domain.flags import BLOCKING_FLAGS, NOT_COUNTED_REASONS, not_counted_reason
from moonx_pipeline.domain.portfolio import Position
from moonx_pipeline.domain.valuation import is_counted, totals_of
from moonx_pipeline_tests.support.examples import portfolios, without_floats
from moonx_pipeline_tests.support.rows import position

TOLD = (flags.SOURCES_DISAGREE, flags.USDT_AT_PAR, flags.OLD_PRICE, flags.BALANCE_UNKNOWN)
FIVE = Decimal(5)


@pytest.mark.parametrize(
    ("flag", "bucket"),
    [
        ("suspected", "flagged"),
        ("low_liquidity", "lowLiquidity"),
        ("outdated_price", "flagged"),
        ("sources_far_apart", "flagged"),
        ("price_jump", "flagged"),
        ("exceeds_liquidity", "flagged"),
        ("unconfirmed_price", "flagged"),
    ],
)
def test_a_flag_that_blocks_is_the_reason_and_is_counted_as_one_kind_of_omission(flag: str, bucket: str) -> None:
    blocked = position(1, price="2")._replace(flags=(*TOLD, flag))
    assert blocked.not_counted_reason == flag
    assert not is_counted(blocked)
    totals = totals_of([blocked, position(2, price="2")], [])
    assert (totals.value_usd, totals.counted) == (5, 1)
    nothing = {"unpriced": 0, "spam": 0, "flagged": 0, "lowLiquidity": 0, "unread": 0, "staleChains": []}
    assert totals.omitted == {**nothing, bucket: 1}


def test_every_blocking_flag_is_among_those_tried() -> None:
    assert len(BLOCKING_FLAGS) == 7
    assert set(NOT_COUNTED_REASONS) == {"spam", "unpriced", *BLOCKING_FLAGS}
    assert BLOCKING_FLAGS.isdisjoint(TOLD)


@pytest.mark.parametrize("flag", TOLD)
def test_a_flag_that_only_informs_keeps_a_position_in_the_total(flag: str) -> None:
    assert not_counted_reason(is_spam=False, value_usd=FIVE, flags=[flag]) is None


def test_of_several_reasons_the_first_is_given() -> None:
    left = list(NOT_COUNTED_REASONS)
    while left:
        found = not_counted_reason(
            is_spam="spam" in left, value_usd=None if "unpriced" in left else FIVE, flags=set(left)
        )  # fmt: skip
        assert found == left.pop(0)


@given(portfolios(), st.data())
def test_a_total_is_the_exact_sum_of_its_counted_positions_in_any_order(
    positions: tuple[Position, ...], data: st.DataObject
) -> None:
    totals = totals_of(positions, [])
    counted = [p for p in positions if is_counted(p)]
    assert Fraction(totals.value_usd) == sum(Fraction(p.value_usd) for p in counted if p.value_usd is not None)
    assert totals.counted == len(counted)
    left_out = totals.unpriced + totals.spam + totals.flagged + totals.low_liquidity
    assert totals.counted + left_out == len(positions)
    assert totals_of(data.draw(st.permutations(positions)), []) == totals
    assert without_floats(totals)


@given(portfolios())
def test_a_total_never_counts_spam_nor_what_is_blocked_nor_an_unknown_value(positions: tuple[Position, ...]) -> None:
    assume(positions)
    for p in positions:
        counts = not p.is_spam and p.value_usd is not None and BLOCKING_FLAGS.isdisjoint(p.flags)
        assert is_counted(p) == counts
        totals = totals_of([p], [])
        assert totals.value_usd == (p.value_usd if counts else 0)
        assert totals.spam == int(p.is_spam)
        assert totals.unpriced == int(not p.is_spam and p.value_usd is None)


def test_unpriced_is_not_zero() -> None:
    unpriced, worthless = position(1, price=None), position(2, price="0")
    assert (unpriced.not_counted_reason, worthless.not_counted_reason) == ("unpriced", None)
    totals = totals_of([unpriced, worthless], [])
    assert (totals.value_usd, totals.counted, totals.unpriced) == (0, 1, 1)


def test_stale_chains_are_told_once_in_the_order_of_chains() -> None:
    totals = totals_of([], [BASE.id, 1, 10, 137, BASE.id, 42161])
    assert totals.stale_chains == (1, 137, 10, 42161, 8453)
    assert totals.omitted["staleChains"] == [1, 137, 10, 42161, 8453]
    assert not totals.complete


def test_what_was_not_read_is_told_and_keeps_a_total_from_being_complete() -> None:
    whole, partial = totals_of([position()], []), totals_of([position()], [], unread=3)
    assert (whole.complete, whole.omitted["unread"]) == (True, 0)
    assert (partial.complete, partial.omitted["unread"]) == (False, 3)
    assert partial.value_usd == whole.value_usd
