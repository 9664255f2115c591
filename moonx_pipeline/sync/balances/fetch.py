"""Reading balances: as few provider calls as the APIs allow, started as soon as a sync opens.

In a sweep, wallets whose tokens are known are read in bulk (see ``bulk``). For all else there are three ways, each
tried for what the one before could not read: Alchemy's data API (several wallets and networks per call), Alchemy's
JSON-RPC (one wallet and chain), the operator's own node (known and listed tokens). Wallets with many tokens are read
by JSON-RPC from the start: a page costs a tenth, and a list that is too long for one sync continues in the next. A
way whose breaker is open is skipped, so it costs no time. Everything runs in the providers' threads; waiting for a
chain does no work. A failure is data in the reading, never an exception.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent import futures
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Final

from moonx_pipeline.domain.chains import CHAIN_BY_ID
from moonx_pipeline.domain.holdings import is_whole
from moonx_pipeline.domain.portfolio import ChainBalances, ChainOutcome, TokenKey, Way
from moonx_pipeline.domain.providers import ALCHEMY, ALCHEMY_DATA
from moonx_pipeline.domain.quotes import Quote
from moonx_pipeline.providers.alchemy import Alchemy, BalanceReading, Group
from moonx_pipeline.providers.alchemy_networks import chains_named_in
from moonx_pipeline.providers.errors import DeadlineOver, NetworkNotEnabled, ProviderError, RateLimited
from moonx_pipeline.sync.balances.bulk import CALLS_A_CHAIN, BulkReader
from moonx_pipeline.sync.balances.fallback import Memory, OtherWays, is_of_account
from moonx_pipeline.sync.calls import ProviderCalls

MANY_TOKENS: Final = 300
"""Users with more tokens are read by JSON-RPC, chain by chain: a tenth of the compute units, and others don't wait."""

GRACE_SECONDS: Final = 2.0
"""Seconds to wait beyond a scope's deadline, by which each call ends; one still running after that hangs."""

Wait = Callable[[RateLimited], bool]
Pair = tuple[str, int]
OnChainEnd = Callable[[int, list[ChainBalances]], None]


class BalanceFetch:
    """A reading of wallets on chains in progress, for one user or several.

    ``start`` begins it and returns at once. Each wallet and chain goes through its fallbacks independently;
    ``read_chain`` waits for one chain, from any thread.
    """

    def __init__(
        self,
        calls: ProviderCalls,
        wallets: Sequence[str],
        chain_ids: Sequence[int],
        *,
        with_metadata: bool,
        many_tokens: Collection[str],
        memory: Memory,
        quiet: Collection[Pair] = frozenset(),
        bulk: BulkReader | None = None,
        in_full: Collection[Pair] = frozenset(),
        on_chain_end: OnChainEnd | None = None,
    ) -> None:
        """Prepares a reading; no call is made yet.

        Args:
            calls: Calls to providers; their deadline is the reading's.
            wallets: Lower-case addresses.
            chain_ids: The chains.
            with_metadata: Whether to ask for metadata and prices with the balances.
            many_tokens: Wallets known to hold many tokens.
            memory: What earlier syncs stored about wallets and chains.
            quiet: Wallets and chains that need no reading; theirs is ``KEPT``.
            bulk: Reads known wallets in bulk, if ``start_reserved`` is called.
            in_full: Wallets and chains that are read in full besides, so that both ways can be compared.
            on_chain_end: Called once per chain, in a provider thread, with its readings.
        """
        self.calls = calls
        self._wallets = tuple(wallets)
        self._chain_ids = tuple(chain_ids)
        self._with_metadata = with_metadata
        self._many_tokens = frozenset(many_tokens)
        self._quiet = frozenset(quiet)
        self.bulk = bulk
        self.in_full = frozenset(in_full)
        self._bulk_ended: dict[Pair, ChainBalances] = {}
        self._heads: dict[int, int] = {}
        self._ways = OtherWays(calls, memory)
        self._on_chain_end = on_chain_end
        self._lock = threading.Lock()
        self._quotes: dict[TokenKey, Quote] = {}
        self._ended: dict[Pair, ChainBalances | BaseException] = {}
        self._open = dict.fromkeys(self._chain_ids, len(self._wallets))
        self._chain_ended = {chain_id: threading.Event() for chain_id in self._chain_ids}

    def start(self) -> BalanceFetch:
        """Starts the calls and returns at once; each waits for the rate limit on its own."""
        groups = self._groups()
        self._start_shared(groups, None)
        self._start_others(groups)
        return self

    def start_reserved(self, wait: Wait) -> bool:
        """Starts the shared calls as the rate limit allows.

        Args:
            wait: Waits until the limit has room, or declines to.

        Returns:
            Whether all calls were started; ``False`` if ``wait`` declined.
        """
        if self.bulk is not None and not self._read_in_bulk(self.bulk, wait):
            return False
        alchemy, planned = self.calls.providers.alchemy, self._groups()
        groups = planned
        while groups and alchemy is not None:
            room = alchemy.room(with_metadata=self._with_metadata)
            try:
                slot = alchemy.reserve(len(groups[:room]), with_metadata=self._with_metadata)
            except RateLimited as refusal:
                if not wait(refusal):
                    return False
                continue
            self._start_shared(groups[:room], slot)
            groups = groups[room:]
        self._start_others(planned)
        return True

    def _read_in_bulk(self, bulk: BulkReader, wait: Wait) -> bool:
        """Reads what can be read in bulk, and waits for it: what is left is then read in other ways."""
        alchemy = self.calls.providers.alchemy
        left = [chain_id for chain_id in self._chain_ids if any(pair[1] == chain_id for pair in bulk.known)]
        paid = [chain_id for chain_id in left if next(iter(bulk.providers(chain_id)), None) == ALCHEMY.id]
        reading = [self._start_bulk(bulk, chain_id, None) for chain_id in left if chain_id not in paid]
        while paid and alchemy is not None:
            some = paid[: alchemy.calls_room(CALLS_A_CHAIN)]
            try:
                slot = alchemy.reserve_calls(CALLS_A_CHAIN, len(some))
            except RateLimited as refusal:
                if not wait(refusal):
                    return False
                continue
            reading += [self._start_bulk(bulk, chain_id, slot) for chain_id in some]
            paid = paid[len(some) :]
        futures.wait(reading, max(0.0, self.calls.scope.deadline + GRACE_SECONDS - time.monotonic()))
        for done in reading:
            if done.done():
                self._bulk_ended |= done.result()
        self._heads = {chain_id: one.block for (_, chain_id), one in self._bulk_ended.items() if one.block is not None}
        return True

    def _start_bulk(
        self, bulk: BulkReader, chain_id: int, slot: datetime | None
    ) -> futures.Future[dict[Pair, ChainBalances]]:
        def read() -> dict[Pair, ChainBalances]:
            return {(wallet, chain_id): reading for wallet, reading in bulk.read(chain_id, slot).items()}

        return self.calls.providers.executor.submit(read)

    def compared(self) -> Iterator[tuple[ChainBalances, ChainBalances]]:
        """The readings in bulk and in full of wallets that were read both ways, once all chains are read."""
        for pair in self.in_full & self._bulk_ended.keys():
            full = self._ended.get(pair)
            if isinstance(full, ChainBalances) and is_whole(full):
                yield self._bulk_ended[pair], full

    def read_chain(self, chain_id: int) -> list[ChainBalances]:
        """Waits for the readings of all wallets on one chain, in the order of the wallets."""
        # Counted from the deadline, so that several chains that hang share one grace.
        until = self.calls.scope.deadline + GRACE_SECONDS
        self._chain_ended[chain_id].wait(max(0.0, until - time.monotonic()))
        return [self._reading(wallet, chain_id) for wallet in self._wallets]

    def quotes(self) -> dict[TokenKey, Quote]:
        """Prices that came with the balances, once all chains are read."""
        with self._lock:
            return dict(self._quotes)

    def _reading(self, wallet: str, chain_id: int) -> ChainBalances:
        ended = self._ended.get((wallet, chain_id))
        if isinstance(ended, BaseException):
            raise ended
        if ended is None:
            reason = f"{CHAIN_BY_ID[chain_id].name} was not read before the sync's time for reading was over."
            return ChainBalances(wallet, chain_id, ChainOutcome.FAILED, reason=reason, error_code=DeadlineOver.kind)
        return ended

    def _groups(self) -> list[Group]:
        """The shared calls for what may be asked: as few as the API allows."""
        alchemy = self.calls.providers.alchemy
        sources = self.calls.providers.sources
        if alchemy is None or "alchemy-data" not in sources or self.calls.breakers.is_open(ALCHEMY_DATA):
            return []
        served = [chain_id for chain_id in self._chain_ids if self.calls.alchemy_serves(chain_id)]
        few = [wallet for wallet in self._wallets if wallet not in self._many_tokens]
        done = self._quiet | (self._bulk_ended.keys() - self.in_full)
        pairs = [(wallet, chain_id) for wallet in few for chain_id in served if (wallet, chain_id) not in done]
        return [*alchemy.plan_requests(pairs, with_metadata=self._with_metadata)]

    def _start_shared(self, groups: Sequence[Group], slot: datetime | None) -> None:
        for group in groups:
            self.calls.providers.executor.submit(self._read_together, group, slot)

    def _start_others(self, groups: Sequence[Group]) -> None:
        """Starts what no shared call covers: quiet chains, long lists, and chains that Alchemy is not asked about."""
        together = {(wallet, chain_id) for group in groups for wallet, chain_ids in group for chain_id in chain_ids}
        pairs = [(wallet, chain_id) for wallet in self._wallets for chain_id in self._chain_ids]
        for wallet, chain_id in pairs:
            if (wallet, chain_id) in together:
                continue
            if (wallet, chain_id) in self._quiet:
                self._end((wallet, chain_id), ChainBalances(wallet, chain_id, ChainOutcome.KEPT))
            elif (wallet, chain_id) in self._bulk_ended and (wallet, chain_id) not in self.in_full:
                self._go_on(self._bulk_ended[wallet, chain_id], None)
            elif wallet in self._many_tokens and self.calls.alchemy_serves(chain_id):
                self._go_on(ChainBalances(wallet, chain_id, ChainOutcome.SKIPPED), None)
            else:
                self._go_on(self._not_asked(wallet, chain_id), None)

    def _read_together(self, group: Group, slot: datetime | None) -> None:
        """Makes a shared call; afterwards each of its wallets and chains continues independently."""
        pairs = [(wallet, chain_id) for wallet, chain_ids in group for chain_id in chain_ids]
        alchemy = self.calls.providers.alchemy
        assert alchemy is not None  # noqa: S101 - it planned the group
        try:
            reading = self._ask_together(alchemy, group, slot)
        except NetworkNotEnabled as error:
            self._read_without(group, error)
        except ProviderError as error:
            for pair in pairs:
                self._go_on(_failed(pair, error), error)
        except BaseException as fault:
            for pair in pairs:
                self._end(pair, fault)
            raise
        else:
            # Before any chain ends: once all have, nobody waits for this call.
            with self._lock:
                self._quotes.update(reading.quotes)
            for pair in pairs:
                self._go_on(reading.balances[pair], None)

    def _read_without(self, group: Group, error: NetworkNotEnabled) -> None:
        """Asks again without the network that the key does not have; the others are not to suffer from it."""
        chain_ids = {chain_id for _, ids in group for chain_id in ids}
        named = chains_named_in(str(error)) & chain_ids
        for chain_id in named:
            self.calls.breakers.record_error(ALCHEMY.breaker_of(chain_id), error)
        left_out = named or chain_ids
        for pair in [(wallet, chain_id) for wallet, ids in group for chain_id in ids if chain_id in left_out]:
            # Without a name, JSON-RPC tells which network it is: there each has an address of its own.
            self._go_on(_failed(pair, error), error if named else None)
        rest = [(wallet, [chain_id for chain_id in ids if chain_id not in left_out]) for wallet, ids in group]
        rest = [(wallet, ids) for wallet, ids in rest if ids]
        if rest:
            self._read_together(rest, None)

    def _ask_together(self, alchemy: Alchemy, group: Group, slot: datetime | None) -> BalanceReading:
        """Makes the call itself, and notes its result on the breakers of its chains and of their common key."""
        breakers = self.calls.breakers
        chain_ids = {chain_id for _, ids in group for chain_id in ids}
        try:
            reading = alchemy.read_balances(group, with_metadata=self._with_metadata, scope=self.calls.scope, slot=slot)
        except NetworkNotEnabled:
            breakers.record_success(ALCHEMY_DATA)
            raise
        except ProviderError as error:
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

    def _go_on(self, reading: ChainBalances, error: ProviderError | None) -> None:
        """Ends a complete reading; asks the fallbacks for what an incomplete one lacks."""
        pair = (reading.wallet, reading.chain_id)
        if reading.outcome is not ChainOutcome.OK:
            ask = partial(self._ways.whole, reading, error)
        elif reading.unknown or (reading.without_balance and reading.way is not Way.BULK):
            ask = partial(self._ways.single_tokens, reading)
        else:
            self._end(pair, reading)
            return
        self.calls.providers.executor.submit(self._end_with, pair, ask)

    def _end_with(self, pair: Pair, ask: Callable[[], ChainBalances]) -> None:
        ended: ChainBalances | BaseException
        try:
            ended = ask()
        except BaseException as fault:
            ended = fault
        self._end(pair, ended)

    def _end(self, pair: Pair, ended: ChainBalances | BaseException) -> None:
        """Records how a wallet and chain ended; the last wallet of a chain ends the chain."""
        _, chain_id = pair
        self._ended[pair] = self._with_block(ended)
        with self._lock:
            self._open[chain_id] -= 1
            is_last = self._open[chain_id] == 0
        if is_last:
            self._chain_ended[chain_id].set()
            readings = [self._ended[wallet, chain_id] for wallet in self._wallets]
            if self._on_chain_end is not None:
                self._on_chain_end(chain_id, [r for r in readings if isinstance(r, ChainBalances)])

    def _with_block(self, ended: ChainBalances | BaseException) -> ChainBalances | BaseException:
        """A list that names no block has what was received up to the block of the bulk reading before it."""
        if isinstance(ended, ChainBalances) and ended.known_block is None and is_whole(ended):
            return replace(ended, known_block=self._heads.get(ended.chain_id))
        return ended

    def _not_asked(self, wallet: str, chain_id: int) -> ChainBalances:
        """An unanswered reading that says why its chain is in no shared call."""
        alchemy, breakers, chain = self.calls.providers.alchemy, self.calls.breakers, CHAIN_BY_ID[chain_id]
        if alchemy is None or not alchemy.serves(chain_id):
            reason = f"{chain.name} has no source of balances: set ALCHEMY_API_KEY or RPC_URL_{chain.slug.upper()}."
            return ChainBalances(wallet, chain_id, ChainOutcome.SKIPPED, reason=reason, error_code="no_source")
        is_open = breakers.is_open(ALCHEMY.breaker_of(chain_id))
        refusal = breakers.refusal(ALCHEMY.breaker_of(chain_id) if is_open else ALCHEMY_DATA)
        return ChainBalances(
            wallet,
            chain_id,
            ChainOutcome.SKIPPED,
            reason=f"{chain.name} was not asked. {refusal}",
            error_code=refusal.kind,
            retry_at=refusal.retry_at,
        )


def _failed(pair: Pair, error: ProviderError) -> ChainBalances:
    return ChainBalances(*pair, ChainOutcome.FAILED, reason=str(error), error_code=error.kind, retry_at=error.retry_at)
