"""EVM code of contracts that answer every call oddly, or not at all."""

from __future__ import annotations

from collections.abc import Mapping

from moonx_pipeline.providers.balance_code import assembled


def answering(word: int, size: int) -> str:
    """Code that answers every call with the first ``size`` bytes of a word and zeros."""
    return f"0x7f{word:064x}60005260{size:02x}6000f3"


REVERTS = "0x60006000fd"
BURNS = "0x5b600056"  # a loop without end
INVALID = "0xfe"
UNDERFLOWS = "0x01"
NO_CODE = "0x"
MOST = 2**256 - 1
COUNTS_BLOCKS = "0x4360005260206000f3"  # its balance is the number of the block: another one in each


def answering_by(answers: Mapping[str, int], *, burns: bool = False) -> str:
    """Code that answers each function, by its selector, with a word, and all others with nothing, or never."""
    text = "0x00 CALLDATALOAD 0xe0 SHR\n"
    text += "".join(f"DUP1 0x{selector} EQ :f{selector} JUMPI\n" for selector in answers)
    text += "burn: JUMPDEST :burn JUMP\n" if burns else "0x00 0x00 RETURN\n"
    for selector, word in answers.items():
        digits = f"{word:x}"
        text += f"f{selector}: JUMPDEST 0x{digits.zfill(len(digits) + len(digits) % 2)} :end JUMP\n"
    text += "end: JUMPDEST 0x00 MSTORE 0x20 0x00 RETURN\n"
    return f"0x{assembled(text).hex()}"
