"""Balances of many wallets and tokens in few calls of one node, all at one block.

The node runs code of ours (see ``balance_code``); one that does not is read in other ways, which are up to the caller.
A node's refusal is never taken for a contract's: what was not read is ``unread``, and what a contract refused is
``refused``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from moonx_pipeline.providers.balance_code import ANSWERED, BURNT, Rows, balance_call, read_rows
from moonx_pipeline.providers.error_table import Meaning
from moonx_pipeline.providers.errors import BadRequest, CallTimeout, Oversized, PartsRefused, ProviderError
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

Pair = tuple[str, str]
"""A wallet and a token, lower case; ``NATIVE_TOKEN`` is the native coin."""


class BulkReading(NamedTuple):
    """What was read, at one block.

    Attributes:
        block: The number of the block.
        balances: In the smallest unit, zeros included.
        refused: Their contracts answered without a balance.
        unread: The node did not read them, or their contracts need more gas than one gets here.
    """

    block: int
    balances: dict[Pair, int]
    refused: frozenset[Pair]
    unread: frozenset[Pair]


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
        self._is_possible = True
        self._burners: set[str] = set()

    def read(
        self, pairs: Collection[Pair], scope: CallScope, *, block: int | None = None, slot: datetime | None = None
    ) -> BulkReading:
        """Reads balances, all at the newest block or at the one given.

        A contract that takes too much gas is remembered and left to others from then on.

        Args:
            pairs: At least one; those of a wallet one after the other.
            scope: Deadline and tally.
            block: The block's number.
            slot: A reserved slot of the rate limit for the first call.

        Raises:
            NotOffered: The node runs no code that it is given.
            ProviderError: It did not answer at all.
        """
        balances: dict[Pair, int] = {}
        refused: set[Pair] = set()
        head, failures = None, 0
        left = self._without_burners(pairs)
        while left:
            part = left[: self._most]
            try:
                said = self._ask(part, block, scope, slot)
            except ProviderError:
                failures += 1
                if head is None or failures == _MOST_FAILURES:
                    if head is None:
                        raise
                    break
                left = left[len(part) :]
                continue
            slot = None
            if said is None:  # for fewer pairs, from now on
                continue
            if head is None:
                head, block = said, said.block
            elif (said.block, said.parent) != (head.block, head.parent):
                break  # another node behind the same address, which has another block under this number
            for pair, (status, balance) in zip(part, said.rows, strict=False):
                if status == ANSWERED:
                    balances[pair] = balance
                elif status == BURNT:
                    self._remember(pair[1])
                else:
                    refused.add(pair)
            left = self._without_burners(left[len(said.rows) :])
        if head is None:
            raise self._calls.error(NotOffered, "was asked in bulk for nothing but contracts that need too much gas")
        unread = frozenset(pairs).difference(balances, refused)
        return BulkReading(head.block, balances, frozenset(refused), unread)

    def _ask(self, pairs: Sequence[Pair], block: int | None, scope: CallScope, slot: datetime | None) -> Rows | None:
        """The rows of one call; ``None`` if it is to be repeated for fewer pairs.

        Raises:
            NotOffered: The node runs no code that it is given.
            ProviderError: It failed.
        """
        if not self._is_possible:
            raise self._not_offered()
        at = "latest" if block is None else hex(block)
        try:
            answer = self._calls.ask_one(balance_call(pairs, at), scope, slot)
        except (BadRequest, Oversized):
            if not self._shrink(pairs):
                raise
            return None
        except CallTimeout:
            self._shrink(pairs)
            raise
        if isinstance(answer, Refusal):
            if answer.code == _INVALID_PARAMS:
                self._is_possible = False
                raise self._not_offered()
            if answer.meaning is not Meaning.BLOCK and self._shrink(pairs):
                return None
            # Due to the question: what other calls meet says how the node is.
            raise self._calls.failure("eth_call for balances in bulk", answer, PartsRefused)
        rows = read_rows(answer) if isinstance(answer, str) else None
        if rows is None or not rows.rows:  # it took no code for the address, or gives too little gas for one contract
            self._is_possible = False
            raise self._not_offered()
        return rows

    def _shrink(self, pairs: Sequence[Pair]) -> bool:
        """Makes calls smaller from now on; returns whether that may help."""
        if len(pairs) <= _LEAST:
            return False
        self._most = min(self._most, len(pairs) // _SHRUNK)
        return True

    def _without_burners(self, pairs: Collection[Pair]) -> list[Pair]:
        burners = self._burners
        return [pair for pair in pairs if pair[1] not in burners] if burners else list(pairs)

    def _remember(self, token: str) -> None:
        if len(self._burners) >= _MOST_REMEMBERED:  # anybody can make such contracts
            self._burners.clear()
        self._burners.add(token)

    def _not_offered(self) -> NotOffered:
        return self._calls.error(NotOffered, "does not run code that it is given")
