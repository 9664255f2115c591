"""Single values in Alchemy's answers."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from moonx_pipeline.providers.alchemy_values import parse_balance


@pytest.mark.parametrize(
    "text",
    [None, "", "0x", "0X", "1f", "0x-1", "0x+1", "0x 1", "0x1 ", "0x1_0", "0xzz", "0x0x1", "0x1\n", "0x\u0661", "x0"],
)
def test_a_balance_that_is_no_hex_number_is_unknown(text: str | None) -> None:
    assert parse_balance(text) is None


@pytest.mark.parametrize(
    ("text", "balance"),
    [
        ("0x0", 0),
        ("0X1f", 31),
        ("0xb1", 177),
        ("0x0b1", 177),
        ("0x" + "f" * 64, 2**256 - 1),
        ("0x" + "0" * 63 + "7" + "1" * 64, 7),  # two words: the first is the balance
    ],
)
def test_a_balance_in_hex_is_the_number_of_its_first_word(text: str, balance: int) -> None:
    assert parse_balance(text) == balance


@given(st.text(alphabet="0123456789abcdefABCDEFxXobg_+- \n\u0661", max_size=70))
@example("0x" + "1" * 65)
@settings(max_examples=500)
def test_a_balance_is_read_only_from_hex_digits(text: str) -> None:
    digits = re.fullmatch("0[xX]([0-9a-fA-F]+)", text)
    if digits is None or (len(digits[1]) > 64 and len(digits[1]) % 64):
        assert parse_balance(text) is None
    else:
        assert parse_balance(text) == int(digits[1][:64], 16)
