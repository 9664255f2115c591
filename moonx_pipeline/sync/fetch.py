"""Reading balances: as few provider calls as the APIs allow, begun as soon as a sync opens.

Three ways, each tried for what the one before could not read: Alchemy's data API (several wallets and
networks a call), Alchemy's JSON-RPC (one wallet and chain), the operator's own node (known tokens only).
A way whose breaker is open is not tried, so it costs no time. A failure is data: the reading says so, and
never raises.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Executor, Future
from datetime import datetime
from typing import Final

from moonx_pipeline.domain.chains import CHAIN_BY_ID, CHAINS
from moonx_pipeline.domain.curated import curated_contracts
from moonx_pipeline.domain.portfolio import ChainBalances, ChainOutcome, TokenKey
from moonx_pipeline.domain.quotes import Quote
from moonx_pipeline.providers.alchemy import Alchemy, BalanceReading, Group
from moonx_pipeline.providers.classification import effect_of
from moonx_pipeline.providers.errors import ProviderError, RateLimited
from moonx_pipeline.providers.evm import EvmNode
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.sync.breaking import ACCOUNT_CAUSES, ALCHEMY_DATA, Breakers, chain_key, node_key
from moonx_pipeline.sync.sources import Sources

MANY_TOKENS: Final = 300
"""Above it the chains of a user's wallets are asked for apart. Pages of one list come one after the other, so a
list a chain is read several times as fast, for at most one page a chain more, and holds up nobody else's."""

Wait = Callable[[RateLimited], bool]
HeldTokens = Callable[[str, int], Iterable[str]]
"""The tokens that a wallet held on a chain when it was last read; asked only where a node needs them."""


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
        held_tokens: HeldTokens,
        breakers: Breakers,
        scope: CallScope,
    ) -> None:
        self.scope = scope
        self._breakers = breakers
        self._sources = sources
        self._wallets = tuple(wallets)
        self._first_read = first_read
        self._many_tokens = frozenset(many_tokens)
        self._held_tokens = held_tokens
        self._shared: dict[tuple[str, int], Future[BalanceReading]] = {}

    def start(self) -> BalanceFetch:
        """Begins the shared calls and returns at once; each waits for its turn by itself."""
        self._begin(self._groups(), None)
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
        return True

    def _groups(self) -> list[Group]:
        """The shared calls: as few as the API allows, of what may be asked."""
        alchemy = self._sources.alchemy
        if alchemy is None or self._breakers.is_open(ALCHEMY_DATA):
            return []
        served = [chain.id for chain in CHAINS if alchemy.serves(chain.id) and not self._is_open(chain.id)]
        few = [wallet for wallet in self._wallets if wallet not in self._many_tokens]
        together = [[(wallet, chain_id) for wallet in few for chain_id in served]]
        together += [[(wallet, chain_id) for wallet in sorted(self._many_tokens)] for chain_id in served]
        return [group for pairs in together for group in alchemy.plan_requests(pairs, with_metadata=self._first_read)]

    def _begin(self, groups: Sequence[Group], slot: datetime | None) -> None:
        for group in groups:
            call = self._executor.submit(self._read_together, group, slot)
            self._shared |= {(wallet, chain_id): call for wallet, chain_ids in group for chain_id in chain_ids}

    def _is_open(self, chain_id: int) -> bool:
        return self._breakers.is_open(chain_key(chain_id))

    def _read_together(self, group: Group, slot: datetime | None) -> BalanceReading:
        """The shared call. What it says of single chains, and of the key that they share, is noted of them."""
        chain_ids = {chain_id for _, ids in group for chain_id in ids}
        alchemy = self._sources.alchemy
        assert alchemy is not None  # noqa: S101 - it planned the group
        try:
            reading = alchemy.read_balances(group, with_metadata=self._first_read, scope=self.scope, slot=slot)
        except ProviderError as error:
            for key in map(chain_key, chain_ids) if _is_of_account(error) else (ALCHEMY_DATA,):
                self._breakers.note_error(key, error)
            raise
        self._breakers.note_ok(ALCHEMY_DATA)
        for chain in reading.balances.values():
            if chain.outcome is ChainOutcome.OK:
                self._breakers.note_ok(chain_key(chain.chain_id))
            else:
                self._breakers.note_failure(chain_key(chain.chain_id), chain.reason or "It did not answer.")
        return reading

    @property
    def _executor(self) -> Executor:
        return self._sources.executor

    def read_chain(self, chain_id: int) -> list[ChainBalances]:
        """The readings of all wallets on one chain, in the order of the wallets."""
        first = [self._shared_reading(wallet, chain_id) for wallet in self._wallets]
        if all(reading.outcome is ChainOutcome.OK for reading in first):
            return first
        again = [
            reading if reading.outcome is ChainOutcome.OK else self._executor.submit(self._other_ways, reading, error)
            for reading, error in ((r, self._shared_error(r.wallet, chain_id)) for r in first)
        ]
        return [reading.result() if isinstance(reading, Future) else reading for reading in again]

    def quotes(self) -> dict[TokenKey, Quote]:
        """Prices that came along with the balances, once all chains are read."""
        found: dict[TokenKey, Quote] = {}
        for call in set(self._shared.values()):
            if call.exception() is None:
                found |= call.result().quotes
        return found

    def _shared_error(self, wallet: str, chain_id: int) -> ProviderError | None:
        call = self._shared.get((wallet, chain_id))
        error = call.exception() if call else None
        return error if isinstance(error, ProviderError) else None

    def _shared_reading(self, wallet: str, chain_id: int) -> ChainBalances:
        call = self._shared.get((wallet, chain_id))
        if call is None:
            return self._not_begun(wallet, chain_id)
        try:
            return call.result().balances[wallet, chain_id]
        except ProviderError as error:
            return _failed(wallet, chain_id, str(error), error.retry_at)

    def _not_begun(self, wallet: str, chain_id: int) -> ChainBalances:
        """Why there was no shared call for a chain."""
        if self._sources.alchemy is None or not self._sources.alchemy.serves(chain_id):
            return _no_source(wallet, chain_id)
        refusal = self._breakers.refusal(chain_key(chain_id) if self._is_open(chain_id) else ALCHEMY_DATA)
        reason = f"{CHAIN_BY_ID[chain_id].name} was not asked. {refusal}"
        return ChainBalances(wallet, chain_id, ChainOutcome.SKIPPED, reason=reason, retry_at=refusal.retry_at)

    def _other_ways(self, reading: ChainBalances, error: ProviderError | None) -> ChainBalances:
        """Asks by the other ways for what the shared call did not give."""
        alchemy, node = self._sources.alchemy, self._sources.nodes.get(reading.chain_id)
        serves = alchemy is not None and alchemy.serves(reading.chain_id) and not self._is_open(reading.chain_id)
        if alchemy is not None and serves and _worth_asking_again(error):
            reading = self._by_rpc(alchemy, reading)
        if node is not None and reading.outcome is not ChainOutcome.OK:
            reading = self._by_node(node, reading)
        return reading

    def _by_rpc(self, alchemy: Alchemy, failed: ChainBalances) -> ChainBalances:
        try:
            return self._breakers.call(
                chain_key(failed.chain_id), alchemy.rpc_balances, failed.wallet, failed.chain_id, self.scope
            )
        except ProviderError as error:
            return _failed(failed.wallet, failed.chain_id, f"{failed.reason} Then: {error}", error.retry_at)

    def _by_node(self, node: EvmNode, failed: ChainBalances) -> ChainBalances:
        wallet, chain_id = failed.wallet, failed.chain_id
        tokens = dict.fromkeys([*self._held_tokens(wallet, chain_id), *curated_contracts(chain_id)])
        try:
            return self._breakers.call(node_key(chain_id), node.balances, wallet, tuple(tokens), self.scope)
        except ProviderError as error:
            before = f"{failed.reason} Then: " if failed.reason else ""
            return _failed(wallet, chain_id, f"{before}{error}", error.retry_at or failed.retry_at)


def _worth_asking_again(error: ProviderError | None) -> bool:
    """Whether JSON-RPC may answer where the data API did not; both have one account's key and limit."""
    return not isinstance(error, RateLimited) and not _is_of_account(error)


def _is_of_account(error: ProviderError | None) -> bool:
    return error is not None and effect_of(error).breaker in ACCOUNT_CAUSES


def _failed(wallet: str, chain_id: int, reason: str, retry_at: datetime | None) -> ChainBalances:
    return ChainBalances(wallet, chain_id, ChainOutcome.FAILED, reason=reason, retry_at=retry_at)


def _no_source(wallet: str, chain_id: int) -> ChainBalances:
    chain = CHAIN_BY_ID[chain_id]
    name = chain.slug.upper()
    return ChainBalances(
        wallet,
        chain_id,
        ChainOutcome.SKIPPED,
        reason=f"{chain.name} has no source of balances: set ALCHEMY_API_KEY or RPC_URL_{name}.",
    )
