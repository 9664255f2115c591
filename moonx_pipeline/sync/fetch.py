"""Reading balances: as few provider calls as the APIs allow, begun as soon as a sync opens.

Three ways, each tried for what the one before could not read: Alchemy's data API (several wallets and
networks a call), Alchemy's JSON-RPC (one wallet and chain), the operator's own node (known tokens only).
Wallets with many tokens are read by JSON-RPC from the start: a page of it costs a tenth, and a list that is
too long for one sync goes on in the next. A way whose breaker is open is not tried, so it costs no time.
A failure is data: the reading says so, and never raises.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor, Future
from datetime import datetime
from typing import Final

from moonx_pipeline.domain.chains import CHAIN_BY_ID, CHAINS
from moonx_pipeline.domain.portfolio import ChainBalances, ChainOutcome, TokenKey
from moonx_pipeline.domain.quotes import Quote
from moonx_pipeline.providers.alchemy import BalanceReading, Group
from moonx_pipeline.providers.errors import ProviderError, RateLimited
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.sync.breaking import ALCHEMY_DATA, Breakers, chain_key
from moonx_pipeline.sync.fallback import Memory, OtherWays, is_of_account
from moonx_pipeline.sync.sources import Sources

MANY_TOKENS: Final = 300
"""Above it a user's wallets are read by JSON-RPC, chain by chain: for a tenth of the units, holding up nobody."""

Wait = Callable[[RateLimited], bool]
Pair = tuple[str, int]


class BalanceFetch:
    """The reading of wallets on all chains, under way; of one user or of several.

    The shared calls are begun by ``start``; ``read_chain`` waits for the part of one chain and goes on with
    the other ways for what is missing. Chains may be read from several threads at once.
    """

    def __init__(
        self,
        sources: Sources,
        wallets: Sequence[str],
        *,
        first_read: bool,
        many_tokens: Collection[str],
        memory: Memory,
        breakers: Breakers,
        scope: CallScope,
        quiet: Collection[Pair] = frozenset(),
    ) -> None:
        """Takes what to read; nothing is asked yet.

        Args:
            sources: The providers.
            wallets: Lower-case addresses.
            first_read: Whether metadata and prices are wanted with the balances.
            many_tokens: Wallets that are known to hold many tokens.
            memory: What earlier syncs left of wallets and chains.
            breakers: Of all sources.
            scope: Deadline and tally.
            quiet: Wallets and chains that are not asked since nothing moved: their reading is ``KEPT``.
        """
        self.scope = scope
        self._breakers = breakers
        self._sources = sources
        self._wallets = tuple(wallets)
        self._first_read = first_read
        self._many_tokens = frozenset(many_tokens)
        self._quiet = frozenset(quiet)
        self._ways = OtherWays(sources, breakers, scope, memory)
        self._shared: dict[Pair, Future[BalanceReading]] = {}
        self._alone: dict[Pair, Future[ChainBalances]] = {}

    def start(self) -> BalanceFetch:
        """Begins the calls and returns at once; each waits for its turn by itself."""
        self._begin(self._groups(), None)
        self._begin_alone()
        return self

    def start_reserved(self, wait: Wait) -> bool:
        """Begins the shared calls as the rate limit has room for them.

        Args:
            wait: Waits so many seconds, or says that it won't.

        Returns:
            Whether all were begun; ``False`` where it was not waited for.
        """
        alchemy, groups = self._sources.alchemy, self._groups()
        while groups and alchemy is not None:
            room = alchemy.room(with_metadata=self._first_read)
            try:
                slot = alchemy.reserve(len(groups[:room]), with_metadata=self._first_read)
            except RateLimited as refusal:
                if not wait(refusal):
                    return False
                continue
            self._begin(groups[:room], slot)
            groups = groups[room:]
        self._begin_alone()
        return True

    def _groups(self) -> list[Group]:
        """The shared calls: as few as the API allows, of what may be asked."""
        alchemy = self._sources.alchemy
        if alchemy is None or self._breakers.is_open(ALCHEMY_DATA):
            return []
        served = [chain.id for chain in CHAINS if self._ways.serves(chain.id)]
        few = [wallet for wallet in self._wallets if wallet not in self._many_tokens]
        pairs = [(wallet, chain_id) for wallet in few for chain_id in served if (wallet, chain_id) not in self._quiet]
        return [*alchemy.plan_requests(pairs, with_metadata=self._first_read)]

    def _begin_alone(self) -> None:
        """Begins to read, chain by chain, the wallets that take part in no shared call."""
        for wallet in self._wallets:
            for chain in CHAINS if wallet in self._many_tokens else ():
                if (wallet, chain.id) not in self._quiet and self._ways.serves(chain.id):
                    unread = ChainBalances(wallet, chain.id, ChainOutcome.SKIPPED)
                    self._alone[wallet, chain.id] = self._executor.submit(self._ways.whole, unread, None)

    def _begin(self, groups: Sequence[Group], slot: datetime | None) -> None:
        for group in groups:
            call = self._executor.submit(self._read_together, group, slot)
            self._shared |= {(wallet, chain_id): call for wallet, chain_ids in group for chain_id in chain_ids}

    def _read_together(self, group: Group, slot: datetime | None) -> BalanceReading:
        """The shared call. What it says of single chains, and of the key that they share, is noted of them."""
        chain_ids = {chain_id for _, ids in group for chain_id in ids}
        alchemy = self._sources.alchemy
        assert alchemy is not None  # noqa: S101 - it planned the group
        try:
            reading = alchemy.read_balances(group, with_metadata=self._first_read, scope=self.scope, slot=slot)
        except ProviderError as error:
            for key in map(chain_key, chain_ids) if is_of_account(error) else (ALCHEMY_DATA,):
                self._breakers.note_error(key, error)
            raise
        self._breakers.note_ok(ALCHEMY_DATA)
        for chain in reading.balances.values():
            if chain.outcome is ChainOutcome.OK:
                self._breakers.note_ok(chain_key(chain.chain_id))
        for chain_id, reason in reading.outages.items():
            self._breakers.note_failure(chain_key(chain_id), f"Alchemy could not read it: {reason}.")
        return reading

    @property
    def _executor(self) -> Executor:
        return self._sources.executor

    def read_chain(self, chain_id: int) -> list[ChainBalances]:
        """The readings of all wallets on one chain, in the order of the wallets."""
        readings = [self._begun(wallet, chain_id) for wallet in self._wallets]
        return [reading.result() if isinstance(reading, Future) else reading for reading in readings]

    def _begun(self, wallet: str, chain_id: int) -> ChainBalances | Future[ChainBalances]:
        """What there is of a wallet, or the call that goes on with what is missing."""
        if (wallet, chain_id) in self._quiet:
            return ChainBalances(wallet, chain_id, ChainOutcome.KEPT)
        if (alone := self._alone.get((wallet, chain_id))) is not None:
            return alone
        reading, error = self._shared_reading(wallet, chain_id)
        if reading.outcome is not ChainOutcome.OK:
            return self._executor.submit(self._ways.whole, reading, error)
        if reading.unknown or reading.without_balance:
            return self._executor.submit(self._ways.single_tokens, reading)
        return reading

    def quotes(self) -> dict[TokenKey, Quote]:
        """Prices that came along with the balances, once all chains are read."""
        found: dict[TokenKey, Quote] = {}
        for call in set(self._shared.values()):
            if call.exception() is None:
                found |= call.result().quotes
        return found

    def _shared_reading(self, wallet: str, chain_id: int) -> tuple[ChainBalances, ProviderError | None]:
        call = self._shared.get((wallet, chain_id))
        if call is None:
            return self._not_begun(wallet, chain_id), None
        try:
            return call.result().balances[wallet, chain_id], None
        except ProviderError as error:
            failed = ChainBalances(wallet, chain_id, ChainOutcome.FAILED, reason=str(error), retry_at=error.retry_at)
            return failed, error

    def _not_begun(self, wallet: str, chain_id: int) -> ChainBalances:
        """Why there was no shared call for a chain."""
        if self._sources.alchemy is None or not self._sources.alchemy.serves(chain_id):
            return _no_source(wallet, chain_id)
        is_open = self._breakers.is_open(chain_key(chain_id))
        refusal = self._breakers.refusal(chain_key(chain_id) if is_open else ALCHEMY_DATA)
        reason = f"{CHAIN_BY_ID[chain_id].name} was not asked. {refusal}"
        return ChainBalances(wallet, chain_id, ChainOutcome.SKIPPED, reason=reason, retry_at=refusal.retry_at)


def _no_source(wallet: str, chain_id: int) -> ChainBalances:
    chain = CHAIN_BY_ID[chain_id]
    name = chain.slug.upper()
    return ChainBalances(
        wallet,
        chain_id,
        ChainOutcome.SKIPPED,
        reason=f"{chain.name} has no source of balances: set ALCHEMY_API_KEY or RPC_URL_{name}.",
    )
