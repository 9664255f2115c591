"""EVM code of contracts that answer every call oddly, or not at all."""

from __future__ import annotations


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
