"""Which of thousands of tokens a wallet holds, asked in few calls by code that the node runs without deploying it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from moonx_pipeline.providers.balance_code import ANSWERED, balance_call, read_rows
from moonx_pipeline.providers.error_table import Meaning
from moonx_pipeline.providers.errors import Unavailable
from moonx_pipeline.providers.node_answers import Refusal
from moonx_pipeline.providers.node_calls import NodeCalls
from moonx_pipeline.providers.scope import CallScope

TOKENS_A_CALL: Final = 1000
"""The most tokens a call: some 7 million gas, where nodes allow 25 million and more, and 80 kB."""

_LEAST: Final = 30
"""A node that refuses a call for so few tokens does not refuse it for its size."""


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
            (answer,) = self._calls.ask([balance_call([(wallet, token) for token in part], block)], scope)
            if isinstance(answer, Refusal):
                self._shrink(len(part), answer)
                continue
            said = read_rows(answer)
            if said is None or not said.rows:  # it took no code for the address, where no contract is
                self._is_possible = False
                break
            rows = zip(part, said.rows, strict=False)
            found |= {token: held for token, (status, held) in rows if status == ANSWERED and held}
            left = left[len(said.rows) :]
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
