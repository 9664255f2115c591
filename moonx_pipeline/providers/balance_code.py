"""EVM code that reads many balances, and other numbers of contracts, at one block, run by a node without deploying it.

``eth_call`` takes code for an address as its third parameter, a state override: Geth, Erigon, Nethermind, Besu, Reth,
Nitro, Anvil and hosted nodes do. Ours reads one balance after the other, each with a bound on its gas: no contract can
use up the gas of the others, as it can in a multicall contract. It stops before its own gas is used up, so an answer
also tells how far it came, and it names the block itself, so no second call has to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from moonx_pipeline.domain.chains import NATIVE_TOKEN
from moonx_pipeline.providers.node_calls import Call

_TOKEN_GAS: Final = 200_000
"""The most gas for one contract; usual ones take 3,000 to 50,000."""

_BURNT_GAS: Final = 180_000
"""A contract that fails after so much gas may have needed more; one that fails after less refused."""

_RESERVE: Final = _TOKEN_GAS * 64 // 63 + 20_000
"""The gas that asking one more contract takes at most: a call passes on 63/64 of it, and the answer is returned."""

CODE_ADDRESS: Final = "0x6d6f6f6e782e746f6b656e2e73656172636800ff"
"""Where our code stands for the time of a call; no contract is there."""

ANSWERED, SHORT, REFUSED, BURNT, UNREAD = 1, 2, 0, 3, 4
"""The contract answered 32 bytes or more; fewer; its call failed; it took nearly all the gas that it was given; and,
where a node is read without this code, the node did not answer for it."""

# The call data is pairs of 20-byte addresses, a wallet and a token; token 0 is the native coin. Token 1 is no token:
# after it contracts are asked by the selector that stands in its wallet's place, not for balances. The answer is the
# block's number and its parent's hash, 32 bytes each, then a row of 33 bytes a pair: a status and the first word of the
# contract's answer. Arbitrum's NUMBER is a block of Ethereum: its own is known to a contract at 0x64, which no other
# chain has, or has with another function.
# Memory: the call from 0x00, its answer from 0x40, the block from 0x80, the rows from 0xc0.
_ASSEMBLY: Final = f"""
    0xa3b1b31d 0xe0 SHL 0x00 MSTORE           ; the selector of arbBlockNumber()
    0x20 0x80 0x04 0x00 0x64 0x7530 STATICCALL
    0x20 RETURNDATASIZE EQ AND :own JUMPI
    NUMBER 0x80 MSTORE
own: JUMPDEST
    0x01 NUMBER SUB BLOCKHASH 0xa0 MSTORE
    0x70a08231 0xe0 SHL 0x00 MSTORE           ; the selector of balanceOf(address)
    0xc0 0x00                                 ; stack from here on, top first: place in the call data, in the answer
next: JUMPDEST
    DUP1 CALLDATASIZE GT ISZERO :end JUMPI    ; no pair is left
    {_RESERVE:#08x} GAS LT :end JUMPI
    DUP1 CALLDATALOAD 0x60 SHR                ; the wallet
    DUP2 0x14 ADD CALLDATALOAD 0x60 SHR       ; the token
    DUP1 :token JUMPI
    POP BALANCE 0x01 :row JUMP
select: JUMPDEST
    POP 0xe0 SHL 0x00 MSTORE
    0x28 ADD :next JUMP
token: JUMPDEST
    0x01 DUP2 EQ :select JUMPI
    SWAP1 0x04 MSTORE
    0x00 0x40 MSTORE
    GAS SWAP1                                 ; stack: token, gas before
    0x20 0x40 0x24 0x00                       ; size and place of the answer, size and place of the call
    DUP5 {_TOKEN_GAS:#08x} STATICCALL         ; 1 if it succeeded
    SWAP1 POP
    0x1f RETURNDATASIZE GT 0x02 SUB           ; the status of an answer
    DUP2 MUL
    SWAP2 GAS SWAP1 SUB                       ; the gas that it took; stack: gas, success, status
    {_BURNT_GAS:#08x} LT
    SWAP1 ISZERO MUL 0x03 MUL ADD             ; the status
    0x40 MLOAD SWAP1
row: JUMPDEST                                 ; stack: status, first word
    DUP4 MSTORE8
    DUP3 0x01 ADD MSTORE
    0x28 ADD SWAP1 0x21 ADD SWAP1
    :next JUMP
end: JUMPDEST
    POP 0x80 SWAP1 SUB 0x80 RETURN
"""
_OPCODES: Final = {
    "ADD": 0x01, "MUL": 0x02, "SUB": 0x03, "LT": 0x10, "GT": 0x11, "EQ": 0x14, "ISZERO": 0x15, "AND": 0x16,
    "SHL": 0x1B, "SHR": 0x1C, "BALANCE": 0x31, "CALLDATALOAD": 0x35, "CALLDATASIZE": 0x36, "RETURNDATASIZE": 0x3D,
    "BLOCKHASH": 0x40, "NUMBER": 0x43, "POP": 0x50, "MLOAD": 0x51, "MSTORE": 0x52, "MSTORE8": 0x53, "JUMP": 0x56,
    "JUMPI": 0x57, "GAS": 0x5A, "JUMPDEST": 0x5B, "DUP1": 0x80, "DUP2": 0x81, "DUP3": 0x82, "DUP4": 0x83, "DUP5": 0x84,
    "SWAP1": 0x90, "SWAP2": 0x91, "RETURN": 0xF3, "STATICCALL": 0xFA,
}  # fmt: skip
_PUSH1: Final = 0x60

_WORD, _ROW = 32, 33
_HEAD: Final = 2 * _WORD
_COIN: Final = "0" * 40

SELECTS: Final = f"0x{1:040x}"
"""In a contract's place it sets the function that is asked from there on; whose address it is can't be asked."""


class Question(NamedTuple):
    """A question to a contract whose answer is a number of 32 bytes.

    Attributes:
        contract: Lower case.
        selector: Of the function, eight digits in hex.
        argument: Its only argument, below 2^160; a function without one ignores it.
    """

    contract: str
    selector: str
    argument: int = 0


BALANCE_OF: Final = "70a08231"

Pair = tuple[str, str]
"""A wallet and a token, lower case; ``NATIVE_TOKEN`` is the native coin."""


def assembled(text: str) -> bytes:
    """EVM code from mnemonics, numbers to push in hex, ``label:`` and ``:label``; fewer than 256 bytes."""
    words = [word for line in text.splitlines() for word in line.partition(";")[0].split()]
    code, places, uses = bytearray(), {}, []
    for word in words:
        if word.endswith(":"):
            places[word[:-1]] = len(code)
        elif word.startswith(":"):
            uses.append((len(code) + 1, word[1:]))
            code += bytes([_PUSH1, 0])
        elif word.startswith("0x"):
            number = bytes.fromhex(word[2:])
            code += bytes([_PUSH1 - 1 + len(number)]) + number
        else:
            code.append(_OPCODES[word])
    for place, label in uses:
        code[place] = places[label]
    return bytes(code)


_OVERRIDE: Final = {CODE_ADDRESS: {"code": "0x" + assembled(_ASSEMBLY).hex()}}


class Rows(NamedTuple):
    """What the code answered.

    Attributes:
        block: The number of the block.
        parent: The hash of the block before it; tells apart two blocks of the same number.
        rows: A status and a number for each pair or question that it came to, in their order; the number is an answer
            only if the status is ``ANSWERED``.
    """

    block: int
    parent: bytes
    rows: list[tuple[int, int]]


def balance_call(asked: Sequence[Pair | Question], block: str) -> Call:
    """The call that reads the balances of pairs of a wallet and a token, and asks questions.

    Args:
        asked: Of ``NATIVE_TOKEN``, the native coin's balance is read. Questions of one selector stand together; none is
            to the contract ``SELECTS``.
        block: As ``eth_call`` takes it.
    """
    parts, selector = [], BALANCE_OF
    for one in asked:
        wanted = one.selector if isinstance(one, Question) else BALANCE_OF
        if wanted != selector:
            parts.append(f"{wanted:0>40}{SELECTS[2:]}")
            selector = wanted
        if isinstance(one, Question):
            parts.append(f"{one.argument:040x}{one.contract[2:]}")
        else:
            wallet, token = one
            parts.append(wallet[2:] + (_COIN if token == NATIVE_TOKEN else token[2:]))
    return Call("eth_call", [{"to": CODE_ADDRESS, "data": f"0x{''.join(parts)}"}, block, _OVERRIDE])


def read_rows(answer: str) -> Rows | None:
    """Decodes the answer; ``None`` if the code did not run, as where a node ignores the override."""
    try:
        raw = bytes.fromhex(answer.removeprefix("0x"))
    except ValueError:
        return None
    if len(raw) < _HEAD or (len(raw) - _HEAD) % _ROW:
        return None
    rows = [(raw[at], int.from_bytes(raw[at + 1 : at + _ROW])) for at in range(_HEAD, len(raw), _ROW)]
    return Rows(int.from_bytes(raw[:_WORD]), raw[_WORD:_HEAD], rows)
