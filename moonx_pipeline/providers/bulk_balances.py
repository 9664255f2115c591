"""Balances of many wallets and tokens in few calls of one node, all at one block.

The node runs code of ours (see ``balance_code``), or, if it takes none, the contract Multicall3 (see ``multicall``);
where neither is possible, other ways are up to the caller. A node's refusal is never taken for a contract's: what was
not read is ``unread``, and what a contract refused is ``refused``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final, NamedTuple

from moonx_pipeline.providers.balance_code import (
    ANSWERED,
    BURNT,
    SELECTS,
    UNREAD,
    Pair,
    Question,
    Rows,
    balance_call,
    read_rows,
)
from moonx_pipeline.providers.error_table import Meaning
from moonx_pipeline.providers.errors import BadRequest, CallTimeout, Oversized, PartsRefused, ProviderError
from moonx_pipeline.providers.multicall import Multicall
from moonx_pipeline.providers.node_answers import Refusal
from moonx_pipeline.providers.node_calls import NodeCalls
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.providers.transfer_logs import NotOffered, TransferLogs

PAIRS_A_CALL: Final = 4000
"""The most pairs a call: some 20 million gas, and 330 kB."""

_LEAST: Final = 30
"""A node that refuses a call for so few pairs does not refuse it for its size."""

_SHRUNK: Final = 4
"""By how much a refused call is made smaller."""

_MOST_FAILURES: Final = 2
_MOST_REMEMBERED: Final = 10_000
_INVALID_PARAMS: Final = -32602
_NOT_READ: Final = (UNREAD, 0)


class BulkReading(NamedTuple):
    """What was read, at one block.

    Attributes:
        block: The number of the block.
        balances: In the smallest unit, zeros included.
        refused: Their contracts answered without a balance.
        unread: The node did not read them, or their contracts need more gas than one gets here.
        answers: To questions; ``None`` if the contract has none, or needs too much gas. Those not read are left out.
    """

    block: int
    balances: dict[Pair, int]
    refused: frozenset[Pair]
    unread: frozenset[Pair]
    answers: Mapping[Question, int | None] = MappingProxyType({})


class BulkBalances:
    """Bulk reading by one node. Shared by threads; what it learns about node and contracts lasts as long as it does.

    Attributes:
        logs: The transfers that the node's logs tell.
    """

    def __init__(self, calls: NodeCalls) -> None:
        """Takes the node's calls; asks nothing yet."""
        self.logs = TransferLogs(calls)
        self._calls = calls
        self._most = PAIRS_A_CALL
        self._takes_code = True
        self._multicall = Multicall(calls)
        self._burners: set[str | tuple[str, str]] = set()

    def read(
        self,
        pairs: Collection[Pair],
        scope: CallScope,
        *,
        block: int | None = None,
        slot: datetime | None = None,
        questions: Collection[Question] = (),
    ) -> BulkReading:
        """Reads balances and asks questions, all at the newest block or at the one given.

        A contract that takes too much gas is remembered and left to others from then on.

        Args:
            pairs: Those of a wallet one after the other; at least one, or a question.
            scope: Deadline and tally.
            block: The block's number.
            slot: A reserved slot of the rate limit for the first call.
            questions: To contracts, asked after the balances.

        Raises:
            NotOffered: The node runs no code that it is given, and its chain has no Multicall3.
            ProviderError: It did not answer at all.
        """
        said: dict[Pair | Question, tuple[int, int]] = {}
        head, failures = None, 0
        # Anybody can name any address, as what a vault redeems.
        in_order: list[Pair | Question] = [*pairs, *sorted(questions, key=lambda question: question.selector)]
        left = self._without_burners([one for one in in_order if _contract(one) != SELECTS])
        while left:
            part = left[: self._most]
            try:
                rows = self._ask(part, block, scope, slot)
            except ProviderError:
                failures += 1
                if head is None or failures == _MOST_FAILURES:
                    if head is None:
                        raise
                    break
                left = left[len(part) :]
                continue
            slot = None
            if rows is None:  # for fewer pairs, from now on
                continue
            if head is None:
                head, block = rows, rows.block
            elif (rows.block, rows.parent) != (head.block, head.parent):
                break  # another node behind the same address, which has another block under this number
            answered = dict(zip(part, rows.rows, strict=False))
            said |= answered
            for one, (status, _) in answered.items():
                if status == BURNT:
                    self._remember(one)
            left = self._without_burners(left[len(rows.rows) :])
        if block is None:
            raise self._calls.error(NotOffered, "was asked in bulk for nothing but contracts that need too much gas")
        return self._sorted(block, pairs, questions, said)

    def _sorted(
        self,
        block: int,
        pairs: Collection[Pair],
        questions: Collection[Question],
        said: Mapping[Pair | Question, tuple[int, int]],
    ) -> BulkReading:
        balances: dict[Pair, int] = {}
        refused, unread = set(), set()
        for pair in pairs:
            status, balance = said.get(pair, _NOT_READ)
            if status == ANSWERED:
                balances[pair] = balance
            elif status in (BURNT, UNREAD):
                unread.add(pair)
            else:
                refused.add(pair)
        answers: dict[Question, int | None] = {}
        for question in questions:
            status, number = said.get(question, _NOT_READ)
            if status != UNREAD:
                answers[question] = number if status == ANSWERED else None
            elif _target(question) in self._burners or question.contract == SELECTS:
                answers[question] = None
        return BulkReading(block, balances, frozenset(refused), frozenset(unread), answers)

    def _ask(
        self, asked: Sequence[Pair | Question], block: int | None, scope: CallScope, slot: datetime | None
    ) -> Rows | None:
        """The rows of one call, or of several to Multicall3; ``None`` if it is to be repeated for fewer pairs.

        Raises:
            NotOffered: The node reads nothing in bulk.
            ProviderError: It failed.
        """
        if not self._takes_code:
            return self._multicall.rows(asked, block, scope, slot)
        at = "latest" if block is None else hex(block)
        try:
            answer = self._calls.ask_one(balance_call(asked, at), scope, slot)
        except (BadRequest, Oversized):
            if not self._shrink(asked):
                raise
            return None
        except CallTimeout:
            self._shrink(asked)
            raise
        rows = read_rows(answer) if isinstance(answer, str) else None
        if rows is not None and rows.rows:
            return rows
        # A refusal of so few may mean that it takes no code, by whatever code of error.
        if isinstance(answer, Refusal) and answer.code != _INVALID_PARAMS:
            if answer.meaning is not Meaning.BLOCK and self._shrink(asked):
                return None
            if answer.meaning is not Meaning.MISUSE:
                # Due to the question: what other calls meet says how the node is.
                raise self._calls.failure("eth_call for balances in bulk", answer, PartsRefused)
        # It refuses the third parameter, or ignores it, or gives too little gas for one contract.
        self._takes_code = False
        return self._multicall.rows(asked, block, scope, None)

    def _shrink(self, pairs: Sequence[Pair | Question]) -> bool:
        """Makes calls smaller from now on; returns whether that may help."""
        if len(pairs) <= _LEAST:
            return False
        self._most = min(self._most, len(pairs) // _SHRUNK)
        return True

    def _without_burners(self, asked: Sequence[Pair | Question]) -> list[Pair | Question]:
        burners = self._burners
        return [one for one in asked if _target(one) not in burners] if burners else list(asked)

    def _remember(self, one: Pair | Question) -> None:
        if len(self._burners) >= _MOST_REMEMBERED:  # anybody can make such contracts
            self._burners.clear()
        self._burners.add(_target(one))


def _contract(one: Pair | Question) -> str:
    return one.contract if isinstance(one, Question) else one[1]


def _target(one: Pair | Question) -> str | tuple[str, str]:
    """The contract; of a question with its function, since one that takes too much gas says nothing of the others."""
    return (one.contract, one.selector) if isinstance(one, Question) else one[1]
