"""How the answers of contracts are read, whatever they are."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from eth_utils.abi import function_signature_to_4byte_selector
from hypothesis import given
from hypothesis import strategies as st

from moonx_pipeline.providers.erc20 import (
    DECIMALS,
    NAME,
    SYMBOL,
    balance_of,
    read_balance,
    read_decimals,
    read_text,
)

NOBODY = "0x" + "00" * 20
WORD = st.one_of(st.integers(0, 200), st.integers(0, 2**256 - 1), st.sampled_from([2**31, 2**63 - 1, 2**63, 2**64]))
WORDS = st.lists(WORD.map(lambda number: number.to_bytes(32, "big")), max_size=6).map(b"".join)


@given(words=WORDS, rest=st.binary(max_size=40))
def test_no_answer_of_a_contract_can_break_a_reader(words: bytes, rest: bytes) -> None:
    answer = "0x" + (words + rest).hex()

    text, balance, decimals = read_text(answer), read_balance(answer), read_decimals(answer)

    assert text is None or (0 < len(text) <= 128 and "\0" not in text)
    assert balance == (int(answer[2:66], 16) if len(words + rest) >= 32 else None)
    assert decimals == (balance if balance is not None and balance <= 77 else None)


@given(st.text(max_size=100))
def test_a_string_is_read_back_without_its_nuls(text: str) -> None:
    readable = text.encode("utf-8", "replace").decode()
    answer = "0x" + encode(["string"], [readable]).hex()

    assert read_text(answer) == (readable.replace("\0", "").strip() or None)


def test_a_string_without_its_padding_is_read() -> None:
    assert read_text("0x" + encode(["string"], ["USD Coin"])[:72].hex()) == "USD Coin"


@pytest.mark.parametrize("answer", ["", "0x", "0x0", "0xzz", "lots"])
def test_an_answer_that_is_empty_or_no_hex_is_unknown(answer: str) -> None:
    assert (read_text(answer), read_balance(answer), read_decimals(answer)) == (None, None, None)


def test_the_question_for_a_balance_holds_the_wallet() -> None:
    wallet = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8"

    assert balance_of(wallet) == "0x70a08231" + "0" * 24 + wallet[2:]


def test_the_selectors_are_those_of_the_standard() -> None:
    asked = {"name()": NAME, "symbol()": SYMBOL, "decimals()": DECIMALS, "balanceOf(address)": balance_of(NOBODY)[:10]}
    for signature, selector in asked.items():
        assert selector == "0x" + function_signature_to_4byte_selector(signature).hex()
