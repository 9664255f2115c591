"""Which tokens wallets received: a node's logs of ERC-20 transfers.

``Transfer(address,address,uint256)`` has three topics in an ERC-20 token; in an NFT the id is a fourth. A token that
moves without a log, or does not index its receiver, is not found here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from moonx_pipeline.providers.error_table import Meaning
from moonx_pipeline.providers.errors import Oversized, PartsRefused
from moonx_pipeline.providers.node_answers import Refusal
from moonx_pipeline.providers.node_calls import Call, NodeCalls
from moonx_pipeline.providers.scope import CallScope

TRANSFER: Final = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
"""The Keccak hash of the event's name and types."""

WALLETS_A_CALL: Final = 1000
"""The most values that Geth takes at a topic's place."""

MOST_CALLS: Final = 10
"""The most calls for one look at the logs; beyond it, reading the wallets in full costs less."""

_BLOCKS: Final = 100_000
_SHRINKS: Final = frozenset({Meaning.RANGE, Meaning.MISUSE, Meaning.BATCH})
_NO_SUCH_METHOD: Final = -32601
_TOPICS_OF_ERC20: Final = 3


class NotOffered(PartsRefused):
    """The node does not do this, or not to the extent needed; it is asked in other ways."""


class TransferLogs:
    """The logs of one node. Shared by threads; the range of blocks that it takes is learnt, for as long as it lasts."""

    def __init__(self, calls: NodeCalls) -> None:
        """Takes the node's calls; asks nothing yet."""
        self._calls = calls
        self._blocks = _BLOCKS

    @property
    def reach(self) -> int:
        """How many blocks can be looked through."""
        return self._blocks * MOST_CALLS

    def received(
        self, wallets: Sequence[str], first: int, last: int, scope: CallScope, *, slot: datetime | None = None
    ) -> dict[str, set[str]]:
        """The ERC-20 tokens that wallets received.

        Args:
            wallets: Lower-case addresses.
            first, last: The range of blocks, both included.
            scope: Deadline and tally.
            slot: A reserved slot of the rate limit for the first call.

        Returns:
            Contracts by wallet, in lower case; wallets that received nothing are left out.

        Raises:
            NotOffered: The node has no logs, or takes so few blocks a call that it would be too many calls.
            ProviderError: It failed.
        """
        if not self._blocks:
            raise self._not_offered("no logs")
        found: dict[str, set[str]] = {}
        left = MOST_CALLS
        for begin in range(0, len(wallets), WALLETS_A_CALL):
            receivers = wallets[begin : begin + WALLETS_A_CALL]
            start = first
            while start <= last:
                if not left or (last - start) // self._blocks >= left:
                    raise self._not_offered(f"logs of {self._blocks:,} blocks a call, too few for {last - first + 1:,}")
                left -= 1
                end = min(last, start + self._blocks - 1)
                logs = self._logs(receivers, start, end, scope, slot)
                slot = None
                if logs is None:  # fewer blocks, from now on
                    self._blocks = max(1, (end - start + 1) // 4)
                    continue
                for wallet, token in _transfers(logs):
                    found.setdefault(wallet, set()).add(token)
                start = end + 1
        return {wallet: found[wallet] for wallet in wallets if wallet in found}

    def _logs(
        self, wallets: Sequence[str], start: int, end: int, scope: CallScope, slot: datetime | None
    ) -> list[Any] | None:
        """The logs of one call; ``None`` if it was for too many blocks."""
        topics = [TRANSFER, None, [f"0x{wallet[2:]:0>64}" for wallet in wallets]]
        wanted = {"fromBlock": hex(start), "toBlock": hex(end), "topics": topics}
        try:
            said = self._calls.ask_one(Call("eth_getLogs", [wanted]), scope, slot)
            if isinstance(said, Refusal) and said.meaning is Meaning.BLOCK:
                # A node behind the same address that is a block or two behind: what it does not have yet is looked for
                # once more by the next look, which begins earlier than this one ends.
                said = self._calls.ask_one(Call("eth_getLogs", [{**wanted, "toBlock": "latest"}]), scope)
        except Oversized:
            if start == end:
                raise
            return None
        if isinstance(said, list):
            return said
        if not isinstance(said, Refusal):
            raise self._calls.malformed("eth_getLogs without logs")
        if said.code == _NO_SUCH_METHOD:
            self._blocks = 0
            raise self._not_offered("no logs")
        if said.meaning in _SHRINKS and start < end:
            return None
        raise self._calls.failure("eth_getLogs", said, PartsRefused)

    def _not_offered(self, what: str) -> NotOffered:
        return self._calls.error(NotOffered, f"offers {what}")


def _transfers(logs: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """The receiver and the contract of each ERC-20 transfer; what is none, or is not readable, is skipped."""
    for log in logs:
        topics, contract = (log.get("topics"), log.get("address")) if isinstance(log, dict) else (None, None)
        if isinstance(topics, list) and len(topics) == _TOPICS_OF_ERC20 and isinstance(contract, str):
            yield f"0x{str(topics[2])[-40:].lower()}", contract.lower()
