"""Reading what changed, in bulk: which tokens wallets received since they were last read, and all their balances.

A list of a wallet's tokens costs as much as reading hundreds of wallets whose tokens are known. So a sweep asks one
node, chain by chain, for the balances of all tokens that its users are known to hold, and for the transfers to them
since the block up to which they are known. A wallet is left to the other ways if it was not read in full, or not for
``FULL_READ_INTERVAL``; if the logs do not reach back so far; and if any of this fails.

The look at the logs begins earlier than the last one ended (``Chain.unsafe_blocks``): what a reorganisation moved, or
a source that is some blocks behind did not tell, is found by the next look.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final, NamedTuple

from moonx_pipeline.domain.chains import CHAIN_BY_ID, NATIVE_TOKEN, is_native_mirror
from moonx_pipeline.domain.holdings import Pair
from moonx_pipeline.domain.portfolio import ChainBalances, ChainOutcome, Coverage, TokenKey, Way
from moonx_pipeline.domain.providers import ALCHEMY, NODE
from moonx_pipeline.domain.vault_shares import ShareAnswer
from moonx_pipeline.providers.bulk_balances import BulkBalances, BulkReading
from moonx_pipeline.providers.errors import ProviderError
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.providers.transfer_logs import NotOffered
from moonx_pipeline.storage.portfolios.known_tokens import KnownChain
from moonx_pipeline.sync.balances.share_questions import DueShares, questions_for, questions_of_held, share_answers
from moonx_pipeline.sync.calls import ProviderCalls

CALLS_A_CHAIN: Final = ("eth_call", "eth_getLogs")
"""The calls of one bulk reading of a chain, if all goes well."""

_MOST_ALONE: Final = 20
"""A wallet with more unread tokens is read in full instead."""

SPREAD: Final = 0.25
"""The share of the interval over which wallets that were first read together come to be read in full again."""

_ONLY_KNOWN: Final = (
    "Read from your node in bulk: the native coin, the tokens known before, and those received since. Other tokens are "
    "not seen."
)


class BulkWay(NamedTuple):
    """A node that reads in bulk.

    Attributes:
        provider: ``alchemy`` or ``rpc``.
        node: It.
    """

    provider: str
    node: BulkBalances


def is_due_in_full(wallet: str, known: KnownChain, every: timedelta, now: datetime) -> bool:
    """Whether a wallet's tokens are to be listed again; wallets listed together are not due together."""
    share = 1 - SPREAD * (zlib.crc32(wallet.encode()) % 1000) / 1000
    return now >= known.full_read_at + every * share


_PROVIDER_OF: Final = {"node-bulk": NODE.id, "alchemy-bulk": ALCHEMY.id}


@dataclass(frozen=True, slots=True)
class BulkReader:
    """Bulk readings of a batch. Shared by threads.

    Attributes:
        calls: Calls to providers.
        known: What is known of each wallet and chain that may be read in bulk.
        gaps: Gets those whose blocks to look through are more than the logs reach back to.
        due_shares: Contracts to be asked, with the balances, what their shares are redeemable for.
        shares: Gets what they said; ``None`` of one that is no share.
    """

    calls: ProviderCalls
    known: Mapping[Pair, KnownChain]
    gaps: set[Pair]
    due_shares: DueShares
    shares: dict[TokenKey, ShareAnswer | None] = field(default_factory=dict)

    def providers(self, chain_id: int) -> list[str]:
        """Who is asked about a chain, in this order."""
        calls = self.calls
        may = {
            "node-bulk": chain_id in calls.providers.nodes and not calls.breakers.is_open(NODE.breaker_of(chain_id)),
            "alchemy-bulk": calls.alchemy_serves(chain_id),
        }
        return [_PROVIDER_OF[way] for way in calls.providers.sources if may.get(way)]

    def read(self, chain_id: int, slot: datetime | None) -> dict[str, ChainBalances]:
        """Reads the known wallets of a chain.

        Args:
            chain_id: The chain.
            slot: A reserved slot of Alchemy's rate limit.

        Returns:
            Good readings by wallet; wallets that could not be read so are left out.
        """
        wallets = [wallet for wallet, chain in self.known if chain == chain_id]
        for provider in self.providers(chain_id) if wallets else ():
            key = (NODE if provider == NODE.id else ALCHEMY).breaker_of(chain_id)
            try:
                return self.calls.make(key, partial(self._read, provider, chain_id, wallets, slot))
            except ProviderError:
                continue  # the next provider, or the full reading, says what is wrong if it is more than this way
        return {}

    def again(self, reading: ChainBalances, tokens: Collection[str], *, block: int | None) -> BulkReading:
        """Reads some tokens of a wallet once more, by the provider of a reading.

        Raises:
            ProviderError: It failed.
        """
        assert reading.source is not None  # noqa: S101 - it was read
        node = self._node(reading.source, reading.chain_id, self.calls.scope)
        return node.read([(reading.wallet, token) for token in tokens], self.calls.scope, block=block)

    def _node(self, provider: str, chain_id: int, scope: CallScope) -> BulkBalances:
        providers = self.calls.providers
        if provider == NODE.id:
            return providers.nodes[chain_id].bulk(scope)
        assert providers.alchemy is not None  # noqa: S101 - it serves the chain
        return providers.alchemy.bulk(chain_id)

    def _read(
        self, provider: str, chain_id: int, wallets: Sequence[str], slot: datetime | None, scope: CallScope
    ) -> dict[str, ChainBalances]:
        slot = slot if provider == ALCHEMY.id else None
        node, unsafe = self._node(provider, chain_id, scope), CHAIN_BY_ID[chain_id].unsafe_blocks
        if node.logs.reach <= unsafe:
            raise NotOffered("Its logs do not reach back far enough.", provider=provider, chain_id=chain_id)
        known = {wallet: self.known[wallet, chain_id] for wallet in wallets}
        asked = {wallet: {NATIVE_TOKEN, *one.tokens} for wallet, one in known.items()}
        pairs = [(wallet, token) for wallet, tokens in asked.items() for token in tokens]
        asked_shares = questions_for(chain_id, self.due_shares, len(pairs))
        questions = [question for some in asked_shares.values() for question in some]
        first = node.read(pairs, scope, slot=slot, questions=questions)
        last = first.block
        if (newest := max(one.block for one in known.values())) > last + unsafe:
            message = f"It answers for block {last}, and block {newest} was read before."
            raise NotOffered(message, provider=provider, chain_id=chain_id)
        starts = {wallet: max(0, one.block - unsafe) for wallet, one in known.items()}
        reached = [wallet for wallet in wallets if last - starts[wallet] < node.logs.reach]
        self.gaps.update((wallet, chain_id) for wallet in set(wallets).difference(reached))
        if not reached:
            return {}
        received = node.logs.received(reached, min(starts[wallet] for wallet in reached), last, scope, slot=slot)
        new = [
            (wallet, token)
            for wallet, tokens in received.items()
            if wallet in asked
            for token in tokens - asked[wallet]
            if not is_native_mirror(chain_id, token)
        ]
        # Of a share that was not known before, it is only now known what its vault may hold.
        further = questions_of_held(share_answers(asked_shares, first.answers), asked_shares)
        second = node.read(new, scope, block=last, questions=further) if new or further else None
        self.shares.update(share_answers(asked_shares, {**first.answers, **(second.answers if second else {})}))
        return self._sorted(provider, chain_id, reached, [one for one in (first, second) if one is not None], last)

    def _sorted(
        self, provider: str, chain_id: int, wallets: Sequence[str], parts: Sequence[BulkReading], block: int
    ) -> dict[str, ChainBalances]:
        balances: dict[str, dict[str, int]] = {wallet: {} for wallet in wallets}
        refused: dict[str, set[str]] = {}
        unread: dict[str, set[str]] = {}
        left_over: dict[str, int] = {}  # of wallets that the logs do not reach
        for part in parts:
            for (wallet, token), balance in part.balances.items():
                balances.get(wallet, left_over)[token] = balance
            for sort, some in ((refused, part.refused), (unread, part.unread)):
                for wallet, token in some:
                    sort.setdefault(wallet, set()).add(token)
        readings = {}
        for wallet in wallets:
            left = unread.get(wallet, set())
            if NATIVE_TOKEN not in balances[wallet] or len(left) > _MOST_ALONE:
                continue
            coverage = self.known[wallet, chain_id].coverage
            readings[wallet] = ChainBalances(
                wallet,
                chain_id,
                ChainOutcome.OK,
                balances=balances[wallet],
                unknown=frozenset(left),
                without_balance=frozenset(refused.get(wallet, ())),
                coverage=coverage,
                source=provider,
                reason=_ONLY_KNOWN if coverage is Coverage.KNOWN_TOKENS else None,
                block=block,
                way=Way.BULK,
                known_block=block,
            )
        return readings
