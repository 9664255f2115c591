"""The ways to list one wallet's tokens on one chain, tried in turn: what the shared call did not read, or never asked.

A failure is data in the reading, never an exception.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple, Protocol

from moonx_pipeline.clock import utc_now
from moonx_pipeline.domain.chains import CHAIN_BY_ID, NATIVE_TOKEN
from moonx_pipeline.domain.portfolio import ChainBalances, ChainOutcome, Way
from moonx_pipeline.domain.providers import ALCHEMY, ALCHEMY_DATA, NODE, label_of
from moonx_pipeline.providers.alchemy import Alchemy, RpcReading
from moonx_pipeline.providers.error_table import effect_of
from moonx_pipeline.providers.errors import ProviderError, RateLimited
from moonx_pipeline.providers.evm import EvmNode, NodeBehind
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.sync.calls import ProviderCalls

MOST_ASKED_AGAIN: Final = 1_000
"""The most tokens of one reading that are asked for again individually; the others count as unread."""


class PlaceInList(NamedTuple):
    """Where an earlier sync stopped with the list of a wallet on a chain.

    Attributes:
        resume_key: The next page; ``None`` if the list was read to its end, or not at all.
        resume_since: When the reading of that list began.
    """

    resume_key: str | None = None
    resume_since: datetime | None = None


class Memory(Protocol):
    """What earlier syncs stored; looked up only if a fallback needs it."""

    def place_in_list(self, wallet: str, chain_id: int) -> PlaceInList:
        """Where the reading of a wallet's list continues."""

    def tokens(self, wallet: str, chain_id: int) -> Collection[str]:
        """Contracts that a wallet may hold: those it held, and major coins."""

    def newest_block(self, wallet: str, chain_id: int) -> int | None:
        """The newest block at which a wallet was read lately; ``None`` if none is known."""

    def shown(self, wallet: str, chain_id: int) -> Collection[str]:
        """The tokens that a wallet held, except spam."""

    def is_gap(self, wallet: str, chain_id: int) -> bool:
        """Whether it is not known, up to any block that logs reach back to, what a wallet received."""

    def listed(self, wallet: str, chain_id: int) -> Sequence[str]:
        """Contracts to search besides, if any are."""


_Answer = tuple[ChainBalances, ProviderError | None]
"""What a way of Alchemy's made of a reading, and its last error."""


@dataclass(frozen=True, slots=True)
class OtherWays:
    """Reads single wallets on single chains. Shared by threads."""

    calls: ProviderCalls
    memory: Memory

    def whole(self, reading: ChainBalances, error: ProviderError | None) -> ChainBalances:
        """Reads what the shared call did not return.

        Args:
            reading: What the call returned, and what it lacks.
            error: Why the call returned nothing, if it failed.
        """
        for way in self._left(reading.chain_id):
            if reading.is_read:
                break
            if way == "node":
                reading = self._by_node(self.calls.providers.nodes[reading.chain_id], reading)
            elif self.calls.alchemy_serves(reading.chain_id) and _worth_asking_again(error):
                reading, error = (self._by_data if way == "alchemy-data" else self._by_rpc)(reading, error)
        return self.single_tokens(reading)

    def unless_older(self, reading: ChainBalances) -> ChainBalances:
        """The reading; a failed one if it is of a block far before one that was read lately.

        A source may ask one of its nodes that is behind: what has moved since would be undone.
        """
        block, chain = reading.block, CHAIN_BY_ID[reading.chain_id]
        if block is None or reading.outcome is not ChainOutcome.OK or reading.way is Way.BULK:  # which has looked
            return reading
        newest = self.memory.newest_block(reading.wallet, chain.id)
        if newest is None or block + chain.unsafe_blocks >= newest:
            return reading
        said = f"{label_of(reading.source or '')} answered for block {block} of {chain.name}"
        return ChainBalances(
            reading.wallet,
            chain.id,
            ChainOutcome.FAILED,
            tokens=reading.tokens,
            source=reading.source,
            reason=f"{said}, and block {newest} was read before: it is behind its chain.",
            error_code=NodeBehind.kind,
        )

    def missing_in(self, reading: ChainBalances) -> frozenset[str]:
        """Tokens that were held and that a list of the data API does not have, or has at 0."""
        if reading.outcome is not ChainOutcome.OK or reading.way is not Way.DATA_API:
            return frozenset()
        shown = self.memory.shown(reading.wallet, reading.chain_id)
        return frozenset(shown).difference(reading.balances, reading.unknown, reading.without_balance, {NATIVE_TOKEN})

    def with_missing(self, reading: ChainBalances, missing: frozenset[str]) -> ChainBalances:
        """Asks for tokens that are missing in a list; one that nobody has a balance of is gone."""
        asked = self.single_tokens(replace(reading, unknown=reading.unknown | missing))
        return replace(asked, unknown=asked.unknown - missing, without_balance=asked.without_balance - missing)

    def _left(self, chain_id: int) -> Sequence[str]:
        """The ways after the shared call, which is only made where it is the first one."""
        ways = self.calls.providers.list_ways(chain_id)
        return ways[1:] if ways[:1] == ("alchemy-data",) else ways

    def single_tokens(self, reading: ChainBalances) -> ChainBalances:
        """Asks the fallbacks for tokens that a good reading could not read."""
        chain_id, wallet = reading.chain_id, reading.wallet
        providers, ways = self.calls.providers, self.calls.providers.list_ways(chain_id)
        alchemy = providers.alchemy if "alchemy-rpc" in ways and self.calls.alchemy_serves(chain_id) else None
        node = providers.nodes[chain_id] if "node" in ways else None
        if alchemy is not None and reading.source == "alchemy":
            tokens = _unsure(reading)
            if tokens:
                ask = partial(alchemy.token_balances, wallet, chain_id, tokens)
                reading = self._once_more(reading, ALCHEMY.breaker_of(chain_id), ask)
        if node is not None and (reading.source != NODE.id or reading.way is Way.BULK):
            tokens = _unsure(reading)
            if tokens:
                ask = partial(node.balances, wallet, tokens)
                reading = self._once_more(reading, NODE.breaker_of(chain_id), ask)
        if alchemy is not None and node is None and reading.unknown:
            reading = self._once_more(reading, ALCHEMY.breaker_of(chain_id), partial(_by_contracts, alchemy, reading))
        return reading

    def _once_more(self, reading: ChainBalances, key: str, ask: Callable[[CallScope], ChainBalances]) -> ChainBalances:
        try:
            said = self.calls.make(key, ask)
        except ProviderError:
            return reading  # the tokens stay unknown
        tokens = set(_unsure(reading))
        found = {token: balance for token, balance in said.balances.items() if token in tokens}
        # A contract's own answer stands, unless another fallback has a balance.
        empty = reading.without_balance | (said.without_balance & tokens)
        return replace(
            reading,
            balances={**reading.balances, **found},
            unknown=reading.unknown.difference(found, empty),
            without_balance=empty.difference(found),
        )

    def _by_data(self, failed: ChainBalances, error: ProviderError | None) -> _Answer:
        alchemy, pair = self.calls.providers.alchemy, (failed.wallet, failed.chain_id)
        assert alchemy is not None  # noqa: S101 - it serves the chain

        def ask(scope: CallScope) -> ChainBalances:
            group = [(failed.wallet, [failed.chain_id])]
            return alchemy.read_balances(group, with_metadata=False, scope=scope).balances[pair]

        try:
            return self.unless_older(self.calls.make(ALCHEMY_DATA, ask)), error
        except ProviderError as problem:
            return _after(failed, problem), problem

    def _by_rpc(self, failed: ChainBalances, error: ProviderError | None) -> _Answer:
        wallet, chain_id, key = failed.wallet, failed.chain_id, ALCHEMY.breaker_of(failed.chain_id)
        alchemy = self.calls.providers.alchemy
        assert alchemy is not None  # noqa: S101 - it serves the chain
        place, began = self.memory.place_in_list(wallet, chain_id), utc_now()
        try:
            read = alchemy.rpc_balances(wallet, chain_id, self.calls.scope, resume_key=place.resume_key)
        except ProviderError as problem:
            self.calls.breakers.record_error(key, problem)
            return _after(failed, problem), problem
        self._note(key, read)
        tokens = {token: info for token, info in failed.tokens.items() if token in read.balances.balances}
        since = place.resume_since or began
        return replace(read.balances, tokens=tokens, resumed_since=since if read.is_resumed else None), error

    def _note(self, key: str, read: RpcReading) -> None:
        """Notes a success if any page came, unless the failure was the key's."""
        if read.stopped_by is not None and is_of_account(read.stopped_by):
            self.calls.breakers.record_error(key, read.stopped_by)
        else:
            self.calls.breakers.record_success(key)

    def _by_node(self, node: EvmNode, failed: ChainBalances) -> ChainBalances:
        wallet, chain_id = failed.wallet, failed.chain_id
        tokens = tuple(dict.fromkeys(self.memory.tokens(wallet, chain_id)))
        try:
            ask = partial(node.balances, wallet, tokens, listed=self.memory.listed(wallet, chain_id))
            read = self.unless_older(self.calls.make(NODE.breaker_of(chain_id), ask))
        except ProviderError as error:
            return _after(failed, error)
        if not read.is_read:
            return read
        tokens_read = {token: info for token, info in failed.tokens.items() if token in read.balances}
        # What was received since the block known so far is looked for later, unless it can't be: then a search replaces
        # that look.
        known_block = read.block if self.memory.is_gap(wallet, chain_id) else None
        return replace(read, tokens=tokens_read, known_block=known_block)


def is_of_account(error: ProviderError | None) -> bool:
    """Whether an error concerns the key, whichever API uses it."""
    return error is not None and effect_of(error).of_account


def _worth_asking_again(error: ProviderError | None) -> bool:
    """Whether JSON-RPC may answer when the data API did not; both share one account's key and limit."""
    return not isinstance(error, RateLimited) and not is_of_account(error)


def _by_contracts(alchemy: Alchemy, reading: ChainBalances, scope: CallScope) -> ChainBalances:
    """What contracts themselves say, in one call: one without code, as after its end, has no balance of anybody."""
    wallet, chain_id = reading.wallet, reading.chain_id
    said = alchemy.bulk(chain_id).read([(wallet, token) for token in _unsure(reading)], scope)
    return replace(
        reading,
        balances={token: balance for (_, token), balance in said.balances.items()},
        without_balance=frozenset(token for _, token in said.refused),
    )


def _unsure(reading: ChainBalances) -> tuple[str, ...]:
    return tuple(sorted(reading.unknown | reading.without_balance)[:MOST_ASKED_AGAIN])


def _after(reading: ChainBalances, error: ProviderError) -> ChainBalances:
    """A reading that failed once more."""
    return replace(
        reading,
        outcome=ChainOutcome.FAILED,
        reason=f"{reading.reason} Then: {error}" if reading.reason else str(error),
        error_code=error.kind,
        retry_at=error.retry_at or reading.retry_at,
    )
