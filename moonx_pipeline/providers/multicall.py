"""Bulk reading by Multicall3, a contract that most chains have, for nodes that run no code that they are given.

It is at the same address on each (https://www.multicall3.com), and passes on 63/64 of the gas that is left to each
contract in turn. So one that burns its gas may take the whole call down, or leave the next ones too little; their calls
fail without a word, as some refusals do. What failed so is asked again in halves, and at last, when it is few, each
by a call of its own; what fails there while the node answers others is that contract's doing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from moonx_pipeline.domain.chains import NATIVE_TOKEN
from moonx_pipeline.providers.balance_code import (
    ANSWERED,
    BALANCE_OF,
    BURNT,
    REFUSED,
    SHORT,
    UNREAD,
    Pair,
    Question,
    Rows,
)
from moonx_pipeline.providers.contracts import eth_call
from moonx_pipeline.providers.error_table import Meaning
from moonx_pipeline.providers.errors import BadRequest, Oversized, PartsRefused, ProviderError
from moonx_pipeline.providers.node_answers import Refusal
from moonx_pipeline.providers.node_calls import Answer, Call, NodeCalls
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.providers.transfer_logs import NotOffered

MULTICALL: Final = "0xca11bde05977b3631167028862be2a173976ca11"

CONTRACTS_A_CALL: Final = 1000
"""The most contracts a call: some 7 million gas, and 250 kB."""

_ALONE: Final = 20
"""So few are asked each by a call of its own, in one batch."""

_MOST_FAILURES: Final = 2

_AGGREGATE: Final = "0x82ad56cb"  # aggregate3((address,bool,bytes)[])
_GET_BALANCE: Final = "4d2301cc"  # getEthBalance(address)
# Arbitrum's block, where other chains have no contract; then the node's own, and the hash of the one before it.
_HEAD: Final = (
    ("0x0000000000000000000000000000000000000064", "a3b1b31d"),
    (MULTICALL, "42cbb15c"),
    (MULTICALL, "27e86d6e"),
)
_WORD: Final = 32

Asked = Pair | Question


class _Said(NamedTuple):
    """What one call of the contract said: the block, its parent's hash, and success and bytes of each contract."""

    block: int
    parent: bytes
    results: list[tuple[bool, bytes]]


class Multicall:
    """Multicall3 of one node. Shared by threads; what it learns about node and chain lasts as long as it does.

    Attributes:
        most: The most contracts a call.
    """

    def __init__(self, calls: NodeCalls) -> None:
        """Takes the node's calls; asks nothing yet."""
        self.most = CONTRACTS_A_CALL
        self._calls = calls
        self._is_there = True

    def rows(self, asked: Sequence[Asked], block: int | None, scope: CallScope, slot: datetime | None) -> Rows:
        """Asks contracts, all at one block.

        Args:
            asked: Pairs and questions; those beyond ``most`` are left.
            block: Its number; ``None`` for the newest one.
            scope: Deadline and tally.
            slot: A reserved slot of the rate limit for the first call.

        Returns:
            A row for each. What the node did not read is ``UNREAD``.

        Raises:
            NotOffered: The chain has no Multicall3, or not at that block.
            ProviderError: The node failed.
        """
        asked = asked[: self.most]
        said = self._ask(asked, block, scope, slot)
        head = said or self._ask((), block, scope, None)
        if head is None:
            raise self._calls.error(PartsRefused, "refused a call to the contract Multicall3")
        rows, everything = [(UNREAD, 0)] * len(asked), list(range(len(asked)))
        left = [everything] if said is None else _take(everything, said, rows)
        failures = 0
        while left and failures < _MOST_FAILURES:
            part = left.pop()
            try:
                left += self._again(asked, part, head, rows, scope)
            except ProviderError:
                failures += 1
        if said is None and not left and all(status != BURNT for status, _ in rows):
            self.most = max(_ALONE, len(asked) // 2)  # no contract was the cause
        return Rows(head.block, head.parent, rows)

    def _again(
        self,
        asked: Sequence[Asked],
        numbers: Sequence[int],
        head: _Said,
        rows: list[tuple[int, int]],
        scope: CallScope,
    ) -> list[list[int]]:
        """Asks those that failed, by their numbers; returns what is to be asked once more."""
        if len(numbers) <= _ALONE:
            calls = [_alone(asked[number], hex(head.block)) for number in numbers]
            for number, answer in zip(numbers, self._calls.ask(calls, scope), strict=True):
                rows[number] = _row_of_one(answer)
            return []
        half, left = len(numbers) // 2, []
        for part in (list(numbers[:half]), list(numbers[half:])):
            said = self._ask([asked[number] for number in part], head.block, scope, None)
            if said is None:
                left.append(part)
            elif (said.block, said.parent) == (head.block, head.parent):
                left += _take(part, said, rows)
        return left

    def _ask(self, asked: Sequence[Asked], block: int | None, scope: CallScope, slot: datetime | None) -> _Said | None:
        """One call of the contract; ``None`` if it failed as a whole.

        Raises:
            NotOffered: It is not there.
            ProviderError: The node failed, or does not have the block.
        """
        if not self._is_there:
            raise self._not_there()
        at = "latest" if block is None else hex(block)
        try:
            answer = self._calls.ask_one(_aggregate(asked, at), scope, slot)
        except (BadRequest, Oversized):
            return None
        if isinstance(answer, Refusal):
            if answer.meaning is Meaning.BLOCK:
                raise self._calls.failure("eth_call of Multicall3", answer, PartsRefused)
            return None
        said = _decoded(answer) if isinstance(answer, str) else None
        if said is None or len(said.results) != len(asked):
            self._is_there = False
            raise self._not_there()
        return said

    def _not_there(self) -> NotOffered:
        return self._calls.error(NotOffered, "does not run code that it is given, and its chain has no Multicall3")


def _take(numbers: Sequence[int], said: _Said, rows: list[tuple[int, int]]) -> list[list[int]]:
    """Takes in what is certain; returns what is to be asked once more.

    Where one failed without a word, it may have taken the gas of all that failed.
    """
    results = dict(zip(numbers, said.results, strict=True))
    is_doubtful = any(not succeeded and not answer for succeeded, answer in results.values())
    failed = []
    for number, (succeeded, answer) in results.items():
        if succeeded:
            rows[number] = _row(answer)
        elif is_doubtful:
            failed.append(number)
        else:
            rows[number] = (REFUSED, 0)
    return [failed] if failed else []


def _inner(one: Asked) -> tuple[str, str]:
    """The contract to call, and the call data, in hex."""
    if isinstance(one, Question):
        return one.contract, f"{one.selector}{one.argument:064x}"
    wallet, token = one
    contract, selector = (MULTICALL, _GET_BALANCE) if token == NATIVE_TOKEN else (token, BALANCE_OF)
    return contract, f"{selector}{wallet[2:]:0>64}"


def _alone(one: Asked, block: str) -> Call:
    contract, data = _inner(one)
    return eth_call(contract, f"0x{data}", block)


def _aggregate(asked: Sequence[Asked], block: str) -> Call:
    # A tenth of a process's start, and few nodes need this.
    from eth_abi.abi import encode

    calls = [(contract, True, bytes.fromhex(data)) for contract, data in (*_HEAD, *map(_inner, asked))]
    data = encode(["(address,bool,bytes)[]"], [calls]).hex()
    return eth_call(MULTICALL, f"{_AGGREGATE}{data}", block)


def _decoded(answer: str) -> _Said | None:
    """The answer of the contract; ``None`` if it is none of it, as where no contract is."""
    from eth_abi.abi import decode
    from eth_abi.exceptions import DecodingError

    try:
        ((own, number, parent, *results),) = decode(["(bool,bytes)[]"], bytes.fromhex(answer.removeprefix("0x")))
    except (DecodingError, OverflowError, ValueError):
        return None
    arbitrum = own[1] if own[0] and len(own[1]) == _WORD else None
    return _Said(int.from_bytes(arbitrum or number[1]), parent[1], results)


def _row(answer: bytes) -> tuple[int, int]:
    return (ANSWERED, int.from_bytes(answer[:_WORD])) if len(answer) >= _WORD else (SHORT, 0)


def _row_of_one(answer: Answer) -> tuple[int, int]:
    """The row of a contract that was asked alone, by a node that answers others."""
    if not isinstance(answer, Refusal):
        try:
            return _row(bytes.fromhex(answer.removeprefix("0x")))
        except ValueError:
            return (UNREAD, 0)
    if answer.meaning is Meaning.REVERT:
        return (REFUSED, 0)
    return (BURNT, 0) if answer.meaning is Meaning.FAULT else (UNREAD, 0)
