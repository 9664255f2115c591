"""Calls of Alchemy's data API, which read several wallets and chains each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from moonx_pipeline.domain.holdings import Pair
from moonx_pipeline.domain.portfolio import ChainBalances, ChainOutcome, TokenKey
from moonx_pipeline.domain.providers import ALCHEMY, ALCHEMY_DATA
from moonx_pipeline.domain.quotes import Quote
from moonx_pipeline.providers.alchemy import Alchemy, BalanceReading, Group
from moonx_pipeline.providers.alchemy_networks import chains_named_in
from moonx_pipeline.providers.errors import NetworkNotEnabled, ProviderError, RateLimited
from moonx_pipeline.sync.balances.bulk_round import Wait
from moonx_pipeline.sync.balances.fallback import is_of_account
from moonx_pipeline.sync.calls import ProviderCalls

GoOn = Callable[[Mapping[Pair, ChainBalances | BaseException], ProviderError | None], None]
"""Gets what a call says of wallets and chains, in a provider thread: readings, or a fault of ours; and its error."""


@dataclass(slots=True)
class SharedCalls:
    """The shared calls of one reading.

    Attributes:
        calls: Calls to providers.
        with_metadata: Whether to ask for metadata and prices with the balances.
        go_on: Gets the wallets and chains of a call, each once, with the call's error if it failed.
        quotes: Prices that came with the balances; complete before the last chain is given to ``go_on``.
    """

    calls: ProviderCalls
    with_metadata: bool
    go_on: GoOn
    quotes: dict[TokenKey, Quote] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def plan(self, wallets: Sequence[str], chain_ids: Sequence[int], *, but: Collection[Pair]) -> list[Group]:
        """The calls for what may be asked, except for ``but``: as few as the API allows."""
        providers, alchemy = self.calls.providers, self.calls.providers.alchemy
        if alchemy is None or self.calls.breakers.is_open(ALCHEMY_DATA):
            return []
        served = [
            chain_id
            for chain_id in chain_ids
            if providers.list_ways(chain_id)[:1] == ("alchemy-data",) and self.calls.alchemy_serves(chain_id)
        ]
        pairs = [(wallet, chain_id) for wallet in wallets for chain_id in served if (wallet, chain_id) not in but]
        return [*alchemy.plan_requests(pairs, with_metadata=self.with_metadata)]

    def start(self, groups: Sequence[Group], slot: datetime | None = None) -> None:
        """Starts calls and returns at once; without a slot each waits for the rate limit on its own."""
        for group in groups:
            self.calls.providers.executor.submit(self._read, group, slot)

    def start_reserved(self, groups: Sequence[Group], wait: Wait) -> bool:
        """Starts calls as the rate limit allows; ``False`` if ``wait`` declined, with the rest not started."""
        alchemy = self.calls.providers.alchemy
        while groups and alchemy is not None:
            room = alchemy.room(with_metadata=self.with_metadata)
            try:
                slot = alchemy.reserve(len(groups[:room]), with_metadata=self.with_metadata)
            except RateLimited as refusal:
                if not wait(refusal):
                    return False
                continue
            self.start(groups[:room], slot)
            groups = groups[room:]
        return True

    def _read(self, group: Group, slot: datetime | None) -> None:
        """Makes a call; afterwards each of its wallets and chains continues independently."""
        alchemy = self.calls.providers.alchemy
        assert alchemy is not None  # noqa: S101 - it planned the group
        try:
            reading = self._ask(alchemy, group, slot)
        except NetworkNotEnabled as error:
            self._read_without(group, error)
        except ProviderError as error:
            self.go_on({pair: _failed(pair, error) for pair in _pairs(group)}, error)
        except BaseException as fault:
            self.go_on(dict.fromkeys(_pairs(group), fault), None)
            raise
        else:
            # Before any chain ends: once all have, nobody waits for this call.
            with self._lock:
                self.quotes.update(reading.quotes)
            self.go_on({pair: reading.balances[pair] for pair in _pairs(group)}, None)

    def _read_without(self, group: Group, error: NetworkNotEnabled) -> None:
        """Asks again without the network that the key does not have; the others are not to suffer from it."""
        chain_ids = {chain_id for _, chain_id in _pairs(group)}
        named = chains_named_in(str(error)) & chain_ids
        for chain_id in named:
            self.calls.breakers.record_error(ALCHEMY.breaker_of(chain_id), error)
        left_out = named or chain_ids
        # Without a name, JSON-RPC tells which network it is: there each has an address of its own.
        failed = {pair: _failed(pair, error) for pair in _pairs(group) if pair[1] in left_out}
        self.go_on(failed, error if named else None)
        rest = [(wallet, [chain_id for chain_id in ids if chain_id not in left_out]) for wallet, ids in group]
        rest = [(wallet, ids) for wallet, ids in rest if ids]
        if rest:
            self._read(rest, None)

    def _ask(self, alchemy: Alchemy, group: Group, slot: datetime | None) -> BalanceReading:
        """Makes the call itself, and notes its result on the breakers of its chains and of their common key."""
        breakers = self.calls.breakers
        try:
            reading = alchemy.read_balances(group, with_metadata=self.with_metadata, scope=self.calls.scope, slot=slot)
        except NetworkNotEnabled:
            breakers.record_success(ALCHEMY_DATA)
            raise
        except ProviderError as error:
            chain_ids = {chain_id for _, chain_id in _pairs(group)}
            for key in map(ALCHEMY.breaker_of, chain_ids) if is_of_account(error) else (ALCHEMY_DATA,):
                breakers.record_error(key, error)
            raise
        breakers.record_success(ALCHEMY_DATA)
        for chain in reading.balances.values():
            if chain.outcome is ChainOutcome.OK:
                breakers.record_success(ALCHEMY.breaker_of(chain.chain_id))
        for chain_id, reason in reading.outages.items():
            breakers.record_failure(ALCHEMY.breaker_of(chain_id), f"Alchemy could not read it: {reason}.")
        return reading


def _pairs(group: Group) -> Iterator[Pair]:
    return ((wallet, chain_id) for wallet, chain_ids in group for chain_id in chain_ids)


def _failed(pair: Pair, error: ProviderError) -> ChainBalances:
    return ChainBalances(*pair, ChainOutcome.FAILED, reason=str(error), error_code=error.kind, retry_at=error.retry_at)
