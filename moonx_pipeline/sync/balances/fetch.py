"""Reading balances: as few provider calls as the APIs allow, started as soon as a sync opens.

In a sweep, wallets whose tokens are known are read in bulk (see ``bulk``). For all else there are three ways, each
tried for what the one before could not read: Alchemy's data API (several wallets and networks per call), Alchemy's
JSON-RPC (one wallet and chain), the operator's own node (known and listed tokens). Wallets with many tokens are read
by JSON-RPC from the start: a page costs a tenth, and a list that is too long for one sync continues in the next. A
way whose breaker is open is skipped, so it costs no time. Everything runs in the providers' threads; waiting for a
chain does no work. A failure is data in the reading, never an exception.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from moonx_pipeline.domain.chains import CHAIN_BY_ID
from moonx_pipeline.domain.holdings import Pair, is_whole
from moonx_pipeline.domain.portfolio import ChainBalances, ChainOutcome, TokenKey, Way
from moonx_pipeline.domain.providers import ALCHEMY, ALCHEMY_DATA
from moonx_pipeline.domain.quotes import Quote
from moonx_pipeline.providers.alchemy import Group
from moonx_pipeline.providers.errors import DeadlineOver, ProviderError
from moonx_pipeline.sync.balances.bulk import BulkReader
from moonx_pipeline.sync.balances.bulk_round import GRACE_SECONDS, Wait, read_in_bulk
from moonx_pipeline.sync.balances.fallback import Memory, OtherWays
from moonx_pipeline.sync.balances.shared_calls import SharedCalls
from moonx_pipeline.sync.calls import ProviderCalls

MANY_TOKENS: Final = 300
"""Users with more tokens are read by JSON-RPC, chain by chain: a tenth of the compute units, and others don't wait."""

_Said = ChainBalances | BaseException

OnChainsEnd = Callable[[Mapping[int, list[ChainBalances]]], None]


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
        on_chains_end: OnChainsEnd | None = None,
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
            on_chains_end: Called with the readings of chains that end together, in a provider thread; once per chain.
        """
        self.calls = calls
        self._wallets = tuple(wallets)
        self._chain_ids = tuple(chain_ids)
        self._shared = SharedCalls(calls, with_metadata, self._go_on)
        self._many_tokens = frozenset(many_tokens)
        self._quiet = frozenset(quiet)
        self.bulk = bulk
        self.in_full = frozenset(in_full)
        self._bulk_ended: dict[Pair, ChainBalances] = {}
        self._heads: dict[int, int] = {}
        self._ways = OtherWays(calls, memory)
        self._on_chains_end = on_chains_end
        self._lock = threading.Lock()
        self._ended: dict[Pair, _Said] = {}
        self._open = dict.fromkeys(self._chain_ids, len(self._wallets))
        self._chain_ended = {chain_id: threading.Event() for chain_id in self._chain_ids}

    def start(self) -> BalanceFetch:
        """Starts the calls and returns at once; each waits for the rate limit on its own."""
        groups = self._groups()
        self._shared.start(groups)
        self._start_others(groups)
        return self

    def start_reserved(self, wait: Wait) -> bool:
        """Starts the shared calls as the rate limit allows.

        Args:
            wait: Waits until the limit has room, or declines to.

        Returns:
            Whether all calls were started; ``False`` if ``wait`` declined.
        """
        if self.bulk is not None:
            found = read_in_bulk(self.bulk, self._chain_ids, wait)
            if found is None:
                return False
            self._bulk_ended = found
            self._heads = {chain_id: one.block for (_, chain_id), one in found.items() if one.block is not None}
        groups = self._groups()
        if not self._shared.start_reserved(groups, wait):
            return False
        self._start_others(groups)
        return True

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
        return dict(self._shared.quotes)

    def _reading(self, wallet: str, chain_id: int) -> ChainBalances:
        ended = self._ended.get((wallet, chain_id))
        if isinstance(ended, BaseException):
            raise ended
        if ended is None:
            reason = f"{CHAIN_BY_ID[chain_id].name} was not read before the sync's time for reading was over."
            return ChainBalances(wallet, chain_id, ChainOutcome.FAILED, reason=reason, error_code=DeadlineOver.kind)
        return ended

    def _groups(self) -> list[Group]:
        """The shared calls for wallets with few tokens, except for what is done already."""
        few = [wallet for wallet in self._wallets if wallet not in self._many_tokens]
        done = self._quiet | (self._bulk_ended.keys() - self.in_full)
        return self._shared.plan(few, self._chain_ids, but=done)

    def _start_others(self, groups: Sequence[Group]) -> None:
        """Starts what no shared call covers: quiet chains, long lists, and chains that Alchemy is not asked about."""
        together = {(wallet, chain_id) for group in groups for wallet, chain_ids in group for chain_id in chain_ids}
        others: dict[Pair, _Said] = {}
        for pair in itertools.product(self._wallets, self._chain_ids):
            if pair in together:
                continue
            if pair in self._quiet:
                others[pair] = ChainBalances(*pair, ChainOutcome.KEPT)
            elif pair in self._bulk_ended and pair not in self.in_full:
                others[pair] = self._bulk_ended[pair]
            else:
                others[pair] = self._not_asked(*pair)
        self._go_on(others, None)

    def _go_on(self, said: Mapping[Pair, _Said], error: ProviderError | None) -> None:
        """Ends complete readings, and faults; asks the fallbacks for what an incomplete reading lacks."""
        ended: dict[Pair, _Said] = {}
        for pair, answer in said.items():
            one = self._ways.unless_older(answer) if isinstance(answer, ChainBalances) else answer
            ask = self._fallback(one, error)
            if ask is None:
                ended[pair] = one
            else:
                self.calls.providers.executor.submit(self._end_with, pair, ask)
        self._end(ended)

    def _fallback(self, said: _Said, error: ProviderError | None) -> Callable[[], ChainBalances] | None:
        """Asks for what an incomplete reading lacks; ``None`` for one that has ended."""
        if isinstance(said, BaseException) or said.outcome is ChainOutcome.KEPT:
            return None
        if said.outcome is not ChainOutcome.OK:
            return partial(self._ways.whole, said, error)
        if missing := self._ways.missing_in(said):
            return partial(self._ways.with_missing, said, missing)
        if said.unknown or (said.without_balance and said.way is not Way.BULK):
            return partial(self._ways.single_tokens, said)
        return None

    def _end_with(self, pair: Pair, ask: Callable[[], ChainBalances]) -> None:
        ended: _Said
        try:
            ended = ask()
        except BaseException as fault:
            ended = fault
        self._end({pair: ended})

    def _end(self, ended: Mapping[Pair, _Said]) -> None:
        """Records how wallets and chains ended; the last wallet of a chain ends the chain."""
        self._ended.update({pair: self._with_block(one) for pair, one in ended.items()})
        with self._lock:
            for _, chain_id in ended:
                self._open[chain_id] -= 1
            over = [chain_id for chain_id in {chain_id for _, chain_id in ended} if self._open[chain_id] == 0]
        for chain_id in over:
            self._chain_ended[chain_id].set()
        if over and self._on_chains_end is not None:
            self._on_chains_end({chain_id: self._readings(chain_id) for chain_id in over})

    def _readings(self, chain_id: int) -> list[ChainBalances]:
        """The readings of a chain that has ended, without faults."""
        ended = (self._ended[wallet, chain_id] for wallet in self._wallets)
        return [reading for reading in ended if isinstance(reading, ChainBalances)]

    def _with_block(self, ended: _Said) -> _Said:
        """A list that names no block has what was received up to the block of the bulk reading before it."""
        if isinstance(ended, ChainBalances) and ended.known_block is None and is_whole(ended):
            return replace(ended, known_block=self._heads.get(ended.chain_id))
        return ended

    def _not_asked(self, wallet: str, chain_id: int) -> ChainBalances:
        """An unanswered reading, which says why its chain is in no shared call if it should be."""
        breakers, chain, ways = self.calls.breakers, CHAIN_BY_ID[chain_id], self.calls.providers.list_ways(chain_id)
        if not ways:
            reason = f"{chain.name} has no source of balances: set ALCHEMY_API_KEY or RPC_URL_{chain.slug.upper()}."
            return ChainBalances(wallet, chain_id, ChainOutcome.SKIPPED, reason=reason, error_code="no_source")
        if ways[0] != "alchemy-data" or (wallet in self._many_tokens and self.calls.alchemy_serves(chain_id)):
            return ChainBalances(wallet, chain_id, ChainOutcome.SKIPPED)
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
