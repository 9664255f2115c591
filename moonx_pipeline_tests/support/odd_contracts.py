"""EVM code of contracts that answer every call oddly, or not at all."""

from __future__ import annotations

from collections.abc import Mapping

from moonx_pipeline.providers.balance_code import assembled
from moonx_pipeline.simulator.evm_chain import EvmChain


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


def put_code(chain: EvmChain, number: int, code: str) -> str:
    """Puts code at an address where nothing else is; returns the address."""
    address = f"0x{0xC0DE0000 + number:040x}"
    chain.rpc("anvil_setCode", address, code)
    return address


def put_answering(chain: EvmChain) -> tuple[dict[str, int], list[str]]:
    """Puts contracts that answer each call the same; returns those that say a number, and those that say none."""
    good = {1: (7, 32), 2: (MOST, 32), 3: (9, 96)}
    bad = {10: REVERTS, 11: answering(7, 0), 12: answering(7, 31), 13: NO_CODE}
    return (
        {put_code(chain, number, answering(*said)): said[0] for number, said in good.items()},
        [put_code(chain, number, code) for number, code in bad.items()],
    )
