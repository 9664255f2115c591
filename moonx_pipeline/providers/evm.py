"""Any EVM node as a source of balances: standard JSON-RPC, nothing vendor-specific.

A node can tell what a wallet holds of a token, not which tokens it holds: besides those known before, the tokens that
lists name can be searched.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from moonx_pipeline.clock import utc_now
from moonx_pipeline.domain.chains import CHAIN_BY_ID, NATIVE_TOKEN, is_native_mirror
from moonx_pipeline.domain.portfolio import MAX_BALANCE, ChainBalances, ChainOutcome, Coverage, TokenInfo, Way
from moonx_pipeline.domain.providers import NODE
from moonx_pipeline.providers import erc20
from moonx_pipeline.providers.bulk_balances import BulkBalances
from moonx_pipeline.providers.contracts import ask_contracts, eth_call
from moonx_pipeline.providers.error_table import Meaning
from moonx_pipeline.providers.errors import PartsRefused, ProviderError, Unavailable
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.node_answers import Refusal
from moonx_pipeline.providers.node_calls import Answer, Call, Endpoint, NodeCalls
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.providers.transfer_logs import NotOffered

_LATEST: Final = "latest"
_NEWEST_BLOCK_AGE: Final = timedelta(hours=1)
"""A node whose newest block is older is behind; longer than chains halt, but for a few times in their history."""

_AGE_CHECKED_EVERY: Final = 60.0
"""Seconds. A block comes with the hashes of its transactions, up to some 100 kB, so it is not asked for each time."""

_TIME_OF_NEWEST: Final = Call("eth_getBlockByNumber", [_LATEST, False], field="timestamp")

_FIRST_BLOCK: Final = Call("eth_getBlockByNumber", ["0x0", False], field="hash")
_ETHEREUMS_FIRST: Final = "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"
"""Ethereum's first block tells no time, as those of chains that somebody made for development do."""

_ASKED_ALONE: Final = 20
"""The most tokens to ask for once more, one by one; if more are refused, single tokens are not the cause."""


class WrongChain(ProviderError):
    """The node answers for another chain than it is configured for; its balances would be that chain's."""


class NodeBehind(Unavailable):
    """The node's newest block is old: it is being synced, or has lost its peers, and would tell yesterday's balances.

    One that is synced anew answers for its first block, where nobody holds anything.
    """


class _Balances(NamedTuple):
    """A node's answers about tokens.

    Attributes:
        known: Balances, zeros included.
        empty: Contracts that revert, or answer with nothing: they have no balances.
        refused: Tokens that the node itself did not read, and why.
    """

    known: dict[str, int]
    empty: frozenset[str]
    refused: dict[str, Refusal]


class _Searched(NamedTuple):
    """Tokens that a search found, and a note on what was not seen."""

    held: dict[str, int]
    note: str


class EvmNode:
    """A node of one chain. One instance a process, shared by its threads."""

    def __init__(self, chain_id: int, url: str, *, http: HttpClient, batch_size: int = 100) -> None:
        """Takes the node's URL; sends nothing before the first reading.

        Args:
            chain_id: The chain that the node must be of.
            url: Its JSON-RPC endpoint. It may hold a key, so it never appears in a message.
            http: The client, with ``rpc`` as its provider.
            batch_size: The most calls in one request; lowered if the node refuses.
        """
        self.chain_id = chain_id
        endpoint = Endpoint(chain_id, url, NODE.id, f"The node of chain {chain_id}", {})
        self._calls = NodeCalls(endpoint, http=http, batch_size=batch_size)
        self._bulk = BulkBalances(self._calls)
        self._is_of_chain = False
        self._age_checked_at = float("-inf")  # by the monotonic clock
        self._newest = 0

    def balances(
        self, wallet: str, tokens: Sequence[str], scope: CallScope, *, listed: Sequence[str] = ()
    ) -> ChainBalances:
        """Reads the native coin and the given tokens, all as of one block; searches listed ones for further holdings.

        The block is the newest one at the start, named by number in every call: a transfer between two calls is then
        seen by all of them or by none. If a node does not have that block (a load balancer sent us to a lagging
        node, or it has dropped the state already), it is asked once more for its latest block; calls of one batch
        may then fall on two blocks.

        Args:
            wallet: Lower-case address.
            tokens: Lower-case contract addresses. ``NATIVE_TOKEN`` and contracts that mirror the native coin are
                skipped: they are the native balance again.
            scope: Deadline and tally.
            listed: Contracts that the wallet may hold, thousands, read in bulk. If that fails, the rest is read all the
                same. It finds tokens, and proves of none that it is not held.

        Returns:
            An ``OK`` reading: every token is in ``balances``, zeros included, in ``without_balance`` if its
            contract reverts or answers with nothing, or in ``unknown`` if the node could not read it.

        Raises:
            ProviderError: The node did not answer, or not with the native coin and most of the tokens.
        """
        asked = self._contracts(tokens)
        block = self._newest_block(scope)
        answers = self._read(wallet, asked, block, scope)
        if any(isinstance(answer, Refusal) and answer.meaning is Meaning.BLOCK for answer in answers):
            block = _LATEST
            answers = self._read(wallet, asked, block, scope)
        native, *rest = answers
        coin = self._quantity("eth_getBalance", native)
        found = self._sorted(wallet, dict(zip(asked, rest, strict=True)), block, scope)
        searched = self._search_listed(wallet, self._contracts(listed), block, scope)
        return ChainBalances(
            wallet=wallet,
            chain_id=self.chain_id,
            outcome=ChainOutcome.OK,
            balances={NATIVE_TOKEN: coin, **searched.held, **found.known},
            unknown=frozenset(found.refused),
            without_balance=found.empty,
            coverage=Coverage.KNOWN_TOKENS,
            source=NODE.id,
            way=Way.NODE,
            reason=f"Read from your node: the native coin and {len(asked)} known tokens; {searched.note}",
            block=None if block == _LATEST else int(block, 16),
        )

    def bulk(self, scope: CallScope) -> BulkBalances:
        """Its bulk reading; the first time, the node's chain is checked.

        Raises:
            ProviderError: It did not answer, or is of another chain.
        """
        if not self._is_of_chain:
            self._newest_block(scope)
        return self._bulk

    def _search_listed(self, wallet: str, listed: Sequence[str], block: str, scope: CallScope) -> _Searched:
        unseen = "tokens that are new to this wallet are not seen"
        if not listed:
            return _Searched({}, f"{unseen}.")
        try:
            at = None if block == _LATEST else int(block, 16)
            reading = self._bulk.read([(wallet, token) for token in listed], scope, block=at)
        except NotOffered:
            return _Searched({}, f"{unseen}, since it does not run code that it is given.")
        except ProviderError as error:
            return _Searched({}, f"{unseen}, since the search for them failed: {error}")
        held = {token: balance for (_, token), balance in reading.balances.items() if balance}
        return _Searched(
            held, f"of tokens that are new to this wallet, only the {len(listed)} that lists name are seen."
        )

    def _sorted(self, wallet: str, answers: dict[str, Answer], block: str, scope: CallScope) -> _Balances:
        """Sorts the answers about tokens. Tokens that the node refused are asked for once more, each alone.

        Raises:
            PartsRefused: It refuses most of them.
        """
        known: dict[str, int] = {}
        empty: set[str] = set()
        refused: dict[str, Refusal] = {}
        for token, answer in answers.items():
            if _is_of_node(answer) and len(refused) < _ASKED_ALONE:
                answer = self._alone(wallet, token, block, scope) or answer
            if isinstance(answer, Refusal):
                if _is_of_node(answer):
                    refused[token] = answer
                else:
                    empty.add(token)
            elif (balance := erc20.read_balance(answer)) is None:
                empty.add(token)
            else:
                known[token] = balance
        if len(refused) * 2 > len(answers):
            worst = next(iter(refused.values()))
            raise self._calls.failure(f"{len(refused)} of {len(answers)} tokens", worst, PartsRefused)
        return _Balances(known, frozenset(empty), refused)

    def _alone(self, wallet: str, token: str, block: str, scope: CallScope) -> Answer | None:
        try:
            return self._calls.ask([eth_call(token, erc20.balance_of(wallet), block)], scope)[0]
        except Unavailable:  # some nodes refuse a call with a 5xx status
            return None

    def token_info(self, tokens: Sequence[str], scope: CallScope) -> dict[str, TokenInfo]:
        """Asks contracts for their name, symbol and decimals.

        Args:
            tokens: Lower-case contract addresses, without the native coin.
            scope: Deadline and tally.

        Returns:
            An entry for every token. What a contract does not give, or gives malformed, is ``None``.

        Raises:
            ProviderError: The node did not answer.
        """
        if not self._is_of_chain:
            self._newest_block(scope)
        return ask_contracts(self._calls, self._contracts(tokens), scope)

    def _contracts(self, tokens: Iterable[str]) -> list[str]:
        return [
            token
            for token in dict.fromkeys(tokens)
            if token != NATIVE_TOKEN and not is_native_mirror(self.chain_id, token)
        ]

    def _read(self, wallet: str, tokens: Sequence[str], block: str, scope: CallScope) -> list[Answer]:
        question = erc20.balance_of(wallet)
        calls = [Call("eth_getBalance", [wallet, block])]
        calls += [eth_call(token, question, block) for token in tokens]
        return self._calls.ask(calls, scope)

    def _newest_block(self, scope: CallScope) -> str:
        """The newest block's number in hex; the first call also checks the node's chain, and some how old the block is.

        Raises:
            WrongChain: It is of another chain.
            NodeBehind: The block is old.
            ProviderError: It did not answer.
        """
        calls, now = [Call("eth_blockNumber", [])], time.monotonic()
        # Decided once: other threads ask, too, and change what it depends on.
        checks_age, checks_chain = now - self._age_checked_at > _AGE_CHECKED_EVERY, not self._is_of_chain
        if checks_age:
            calls.append(_TIME_OF_NEWEST)
        if checks_chain:
            calls.append(Call("eth_chainId", []))
        block, *others = self._calls.ask(calls, scope)
        if checks_chain:
            self._check_chain(self._quantity("eth_chainId", others.pop()))
        number = self._quantity("eth_blockNumber", block)
        if not checks_age and number + CHAIN_BY_ID[self.chain_id].unsafe_blocks < self._newest:
            others, checks_age = self._calls.ask([_TIME_OF_NEWEST], scope), True
        if checks_age:
            self._check_age(number, others.pop(), scope)
            self._age_checked_at = now
        self._newest = number
        return hex(number)

    def _check_chain(self, actual: int) -> None:
        if actual != self.chain_id:
            setting = f"RPC_URL_{CHAIN_BY_ID[self.chain_id].slug.upper()}"
            raise WrongChain(
                f"{setting} answers for chain {actual}, not {self.chain_id}: set it to a node of the right chain.",
                provider=NODE.id,
                chain_id=self.chain_id,
            )
        self._is_of_chain = True

    def _check_age(self, number: int, timestamp: Answer, scope: CallScope) -> None:
        """Refuses to read at an old block; a node that tells no time is believed, and so is a chain of one's own."""
        if isinstance(timestamp, Refusal):
            return
        seconds = self._quantity("eth_getBlockByNumber", timestamp)
        age = utc_now().timestamp() - seconds
        if age > _NEWEST_BLOCK_AGE.total_seconds():
            if number == seconds == self._newest == 0 and self._calls.ask([_FIRST_BLOCK], scope) != [_ETHEREUMS_FIRST]:
                return
            since = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC" if seconds else "the chain's beginning"
            raise self._calls.error(NodeBehind, f"is behind its chain: its newest block, {number}, is of {since}")

    def _quantity(self, method: str, answer: Answer) -> int:
        if isinstance(answer, Refusal):
            raise self._calls.failure(method, answer)
        try:
            number = int(answer, 16)
        except ValueError:
            number = -1
        if not 0 <= number <= MAX_BALANCE:
            raise self._calls.malformed(f"{method} with '{answer[:80]}', which is no number in hex")
        return number


def _is_of_node(answer: Answer) -> bool:
    """Whether the node refused, not the contract."""
    return isinstance(answer, Refusal) and answer.meaning is not Meaning.REVERT
