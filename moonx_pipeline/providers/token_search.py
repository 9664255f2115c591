"""Which of thousands of tokens a wallet holds, asked in few calls by code that the node runs without deploying it.

``eth_call`` takes code for an address as its third parameter, a state override: Geth, Erigon, Nethermind, Besu, Reth,
Nitro, Anvil and hosted nodes do. Ours asks ``balanceOf`` of one contract after the other, each with a bound on its gas:
no contract can use up the gas of the others, as it can in a multicall contract. It stops before its own gas is used
up, so an answer also tells how far it came.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from moonx_pipeline.providers.errors import Unavailable
from moonx_pipeline.providers.node_answers import Meaning, Refusal
from moonx_pipeline.providers.node_calls import Answer, Call, NodeCalls
from moonx_pipeline.providers.scope import CallScope

TOKENS_A_CALL: Final = 1000
"""The most tokens a call: some 7 million gas, where nodes allow 25 million and more, and 80 kB."""

_LEAST: Final = 30
"""A node that refuses a call for so few tokens does not refuse it for its size."""

_TOKEN_GAS: Final = 200_000
"""The most gas for one contract; usual ones take 3,000 to 50,000."""

_RESERVE: Final = _TOKEN_GAS * 64 // 63 + 20_000
"""The gas that asking one more contract takes at most: a call passes on 63/64 of it, and the answer is returned."""

_ADDRESS: Final = "0x6d6f6f6e782e746f6b656e2e73656172636800ff"
"""Where our code stands for the time of a call; no contract is there."""

# For each pair of 20-byte addresses in the call data, a wallet and a token, the answer has a row of 33 bytes: a status
# (1: the contract answered 32 bytes or more, 2: fewer, 0: its call failed) and the first word of its answer.
# Memory: the call of balanceOf from 0x00, its answer from 0x40, the rows from 0x80.
_ASSEMBLY: Final = f"""
    0x70a08231 0xe0 SHL 0x00 MSTORE           ; the selector of balanceOf(address)
    0x80 0x00                                 ; stack from here on, top first: place in the call data, in the answer
next: JUMPDEST
    DUP1 CALLDATASIZE GT ISZERO :end JUMPI    ; no pair is left
    {_RESERVE:#08x} GAS LT :end JUMPI
    DUP1 CALLDATALOAD 0x60 SHR 0x04 MSTORE    ; the wallet
    0x00 0x40 MSTORE
    0x20 0x40 0x24 0x00                       ; size and place of the answer, size and place of the call
    DUP5 0x14 ADD CALLDATALOAD 0x60 SHR       ; the token
    {_TOKEN_GAS:#08x} STATICCALL              ; 1 if it succeeded
    0x1f RETURNDATASIZE GT 0x02 SUB MUL       ; the status
    DUP3 MSTORE8
    0x40 MLOAD DUP3 0x01 ADD MSTORE           ; the first word
    0x28 ADD SWAP1 0x21 ADD SWAP1
    :next JUMP
end: JUMPDEST
    POP 0x80 SWAP1 SUB 0x80 RETURN
"""
_OPCODES: Final = {
    "ADD": 0x01, "MUL": 0x02, "SUB": 0x03, "LT": 0x10, "GT": 0x11, "ISZERO": 0x15, "SHL": 0x1B, "SHR": 0x1C,
    "CALLDATALOAD": 0x35, "CALLDATASIZE": 0x36, "RETURNDATASIZE": 0x3D, "POP": 0x50, "MLOAD": 0x51, "MSTORE": 0x52,
    "MSTORE8": 0x53, "JUMP": 0x56, "JUMPI": 0x57, "GAS": 0x5A, "JUMPDEST": 0x5B, "DUP1": 0x80, "DUP3": 0x82,
    "DUP5": 0x84, "SWAP1": 0x90, "RETURN": 0xF3, "STATICCALL": 0xFA,
}  # fmt: skip
_PUSH1: Final = 0x60

_STATUS_BYTES, _ROW_BYTES = 1, 33
_ANSWERED: Final = 1


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


_OVERRIDE: Final = {_ADDRESS: {"code": "0x" + assembled(_ASSEMBLY).hex()}}


class TokenSearch:
    """Searches of one node. Shared by threads; what it learns about the node lasts as long as it does."""

    def __init__(self, calls: NodeCalls) -> None:
        """Takes the node's calls; asks nothing yet."""
        self._calls = calls
        self._most = TOKENS_A_CALL
        self._is_possible = True

    def held(self, wallet: str, tokens: Sequence[str], block: str, scope: CallScope) -> dict[str, int] | None:
        """The tokens that a wallet holds, with their balances in the smallest unit.

        A contract that fails, answers too little, or takes too much gas is left out: this finds tokens, and proves of
        none that it is not held.

        Args:
            wallet: Lower-case address.
            tokens: Lower-case contract addresses.
            block: As ``eth_call`` takes it.
            scope: Deadline and tally.

        Returns:
            ``None`` if the node runs no code that it is given.

        Raises:
            ProviderError: It failed, or refused small calls, too.
        """
        found: dict[str, int] = {}
        left = list(tokens)
        while left and self._is_possible:
            part = left[: self._most]
            (answer,) = self._calls.ask([_call(wallet, part, block)], scope)
            if isinstance(answer, Refusal):
                self._shrink(len(part), answer)
                continue
            rows = _rows(answer)
            if not rows:  # it took no code for the address, where no contract is
                self._is_possible = False
                break
            found |= {token: held for token, held in zip(part, rows, strict=False) if held}
            left = left[len(rows) :]
        return found if self._is_possible else None

    def _shrink(self, asked: int, refusal: Refusal) -> None:
        """Halves the calls that are refused.

        Raises:
            ProviderError: It is not their size.
        """
        if asked > _LEAST and refusal.meaning is not Meaning.BLOCK:
            self._most = min(self._most, asked // 2)
        elif refusal.meaning is Meaning.MISUSE:
            self._is_possible = False
        else:
            raise self._calls.failure("a search for tokens", refusal, Unavailable)


def _call(wallet: str, tokens: Sequence[str], block: str) -> Call:
    data = "0x" + "".join(wallet[2:] + token[2:] for token in tokens)
    return Call("eth_call", [{"to": _ADDRESS, "data": data}, block, _OVERRIDE])


def _rows(answer: Answer) -> list[int | None]:
    """The balances in an answer, one for each contract that was asked; ``None`` for one that did not answer."""
    try:
        raw = bytes.fromhex(str(answer).removeprefix("0x"))
    except ValueError:
        return []
    rows = [raw[start : start + _ROW_BYTES] for start in range(0, len(raw) - _ROW_BYTES + 1, _ROW_BYTES)]
    return [int.from_bytes(row[_STATUS_BYTES:]) if row[0] == _ANSWERED else None for row in rows]
