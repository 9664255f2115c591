from __future__ import annotations

import pytest
from eth_utils.address import to_checksum_address
from hypothesis import assume, given
from hypothesis import strategies as st

from moonx_pipeline.domain.addresses import InvalidAddress, parse_address

RIGHT = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


@pytest.mark.parametrize(
    "text",
    [
        # The examples of EIP-55 itself: two in upper case, two in lower case, four in both.
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
        "0xde709f2102306220921060314715629080e2fb77",
        "0x27b1fdb04752bbc536007a920d24acb045561c26",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
        # In one case there is no checksum to be wrong, and an upper-case prefix changes nothing.
        RIGHT.lower(),
        "0x" + RIGHT[2:].upper(),
        "0X" + RIGHT[2:].upper(),
        "0X" + RIGHT[2:].lower(),
        "0X" + RIGHT[2:],
        "0x" + "1" * 40,
        f"  {RIGHT}\n",
        f"\t{RIGHT.lower()} ",
    ],
)
def test_a_right_address_is_taken_in_lower_case(text: str) -> None:
    assert parse_address(text) == text.strip().lower()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "does not begin with 0x"),
        ("   ", "does not begin with 0x"),
        (RIGHT[2:], "does not begin with 0x"),
        ("vitalik.eth", "does not begin with 0x"),
        ("\N{FULLWIDTH DIGIT ZERO}x" + RIGHT[2:], "does not begin with 0x"),
        ("0x", "0 digits after 0x, not 40"),
        (RIGHT[:-1], "39 digits after 0x, not 40"),
        (RIGHT + "0", "41 digits after 0x, not 40"),
        (f"{RIGHT},{RIGHT}", "83 digits after 0x, not 40"),
        ("0x" + "g" * 40, "characters other than 0-9 and a-f"),
        ("0x0x" + "a" * 38, "characters other than 0-9 and a-f"),
        ("0x" + " " + "a" * 39, "characters other than 0-9 and a-f"),
        ("0x" + "\N{CYRILLIC SMALL LETTER A}" * 40, "characters other than 0-9 and a-f"),
        ("0x" + "\N{FULLWIDTH DIGIT ONE}" * 40, "characters other than 0-9 and a-f"),
        (RIGHT.swapcase().replace("0X", "0x"), f"it would be written {RIGHT}"),
        (RIGHT.replace("5aA", "5AA"), "wrong EIP-55 checksum"),
        ("0X" + RIGHT[2:].replace("5aA", "5AA"), "wrong EIP-55 checksum"),
    ],
)
def test_a_wrong_address_is_refused_and_the_message_says_why(text: str, why: str) -> None:
    with pytest.raises(InvalidAddress) as refused:
        parse_address(text)
    assert why in str(refused.value)
    assert f"'{text}'" in str(refused.value)


@given(st.binary(min_size=20, max_size=20), st.data())
def test_one_letter_in_the_wrong_case_is_refused(raw: bytes, data: st.DataObject) -> None:
    right = to_checksum_address(raw)
    assert parse_address(right) == "0x" + raw.hex()
    letters = [place for place in range(2, 42) if right[place].isalpha()]
    assume(letters)
    place = data.draw(st.sampled_from(letters))
    wrong = right[:place] + right[place].swapcase() + right[place + 1 :]
    assume(wrong[2:] not in (wrong[2:].lower(), wrong[2:].upper()))
    with pytest.raises(InvalidAddress, match="checksum"):
        parse_address(wrong)


@given(st.text(max_size=50))
def test_what_is_taken_is_always_forty_lower_case_digits(text: str) -> None:
    try:
        address = parse_address(text)
    except InvalidAddress:
        return
    assert len(address) == 42
    assert set(address[2:]) <= set("0123456789abcdef")
