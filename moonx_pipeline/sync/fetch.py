"""The fetch stage of a batch: readings in progress, and what they end with."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from moonx_pipeline.domain.holdings import Pair
from moonx_pipeline.domain.portfolio import ChainBalances, ChainOutcome, TokenKey
from moonx_pipeline.domain.quotes import Quote
from moonx_pipeline.domain.vault_shares import ShareAnswer
from moonx_pipeline.sync.balances.fetch import BalanceFetch
from moonx_pipeline.sync.calls import ProviderCalls
from moonx_pipeline.sync.pricing.enrich import NOTHING_ASKED, Asked
from moonx_pipeline.sync.spec import OpenSync

VALUED_BY: Final = 0.9
"""The share of a sync's time by which metadata and prices must be there; the rest is for storing."""


class ReadSync(NamedTuple):
    """A sync whose balances are read, with a reading for each wallet and chain."""

    sync: OpenSync
    readings: Sequence[ChainBalances]


class Fetched(NamedTuple):
    """Syncs that opened together, with their readings.

    Attributes:
        reads: At least one.
        quotes: Prices that came with the balances.
        calls: The calls to providers.
        read_at: When the reading began.
        shares: What contracts said that were asked what they are redeemable for; ``None`` of one that is no share.
        asked: What price sources were asked about already.
    """

    reads: Sequence[ReadSync]
    quotes: Mapping[TokenKey, Quote]
    calls: ProviderCalls
    read_at: datetime
    shares: Mapping[TokenKey, ShareAnswer | None]
    asked: Asked = NOTHING_ASKED


@dataclass(frozen=True, slots=True)
class BatchFetch:
    """The fetch stage of a batch, in progress.

    Attributes:
        syncs: At least one; they opened together.
        balances: The reading of the users' wallets.
        read_at: When it began.
        chain_ids: The chains that a sync covers.
        asked: What price sources are asked about meanwhile.
    """

    syncs: tuple[OpenSync, ...]
    balances: BalanceFetch
    read_at: datetime
    chain_ids: tuple[int, ...]
    asked: Future[Asked] | None = None

    def read_chain(self, chain_id: int) -> list[ChainBalances]:
        """Waits for one chain; returns the readings of all wallets."""
        return self.balances.read_chain(chain_id)

    def result(self) -> Fetched:
        """Waits for all chains."""
        found = {(r.wallet, r.chain_id): r for chain_id in self.chain_ids for r in self.read_chain(chain_id)}
        bulk = self.balances.bulk
        shares = dict(bulk.shares) if bulk is not None else {}
        return Fetched(
            self._reads(found), self.balances.quotes(), self.balances.calls, self.read_at, shares, self._asked()
        )

    def kept(self) -> Fetched:
        """What is stored, as if no chain had been asked."""
        return Fetched(self._reads(None), {}, self.balances.calls, self.read_at, {})

    def _reads(self, found: Mapping[Pair, ChainBalances] | None) -> list[ReadSync]:
        """The syncs with what was found; ``None`` if nothing was asked."""
        return [
            ReadSync(
                sync,
                [
                    # A wallet may be read for another user; a user without a movement keeps what is stored.
                    ChainBalances(wallet, chain_id, ChainOutcome.KEPT)
                    if found is None or chain_id in sync.unmoved_chains
                    else found[wallet, chain_id]
                    for chain_id in self.chain_ids
                    for wallet in sync.wallets
                ],
            )
            for sync in self.syncs
        ]

    def _asked(self) -> Asked:
        if self.asked is None:
            return NOTHING_ASKED
        try:
            return self.asked.result(max(0.0, self.syncs[0].budget.after(VALUED_BY) - time.monotonic()))
        except TimeoutError:
            return NOTHING_ASKED
