"""All bulk readings of a batch, chain beside chain, as the rate limit allows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent import futures
from datetime import datetime
from typing import Final

from moonx_pipeline.domain.holdings import Pair
from moonx_pipeline.domain.portfolio import ChainBalances
from moonx_pipeline.domain.providers import ALCHEMY
from moonx_pipeline.providers.errors import RateLimited
from moonx_pipeline.sync.balances.bulk import CALLS_A_CHAIN, BulkReader

GRACE_SECONDS: Final = 2.0
"""Seconds to wait beyond a scope's deadline, by which each call ends; one still running after that hangs."""

Wait = Callable[[RateLimited], bool]


def read_in_bulk(bulk: BulkReader, chain_ids: Sequence[int], wait: Wait) -> dict[Pair, ChainBalances] | None:
    """Reads what can be read in bulk, and waits for it: what is left is then read in other ways.

    Args:
        bulk: The reader.
        chain_ids: The chains; one without known wallets is left out.
        wait: Waits until the limit has room, or declines to.

    Returns:
        Good readings by wallet and chain; ``None`` if ``wait`` declined.
    """
    alchemy = bulk.calls.providers.alchemy
    left = [chain_id for chain_id in chain_ids if any(pair[1] == chain_id for pair in bulk.known)]
    paid = [chain_id for chain_id in left if next(iter(bulk.providers(chain_id)), None) == ALCHEMY.id]
    reading = [_start(bulk, chain_id, None) for chain_id in left if chain_id not in paid]
    while paid and alchemy is not None:
        some = paid[: alchemy.calls_room(CALLS_A_CHAIN)]
        try:
            slot = alchemy.reserve_calls(CALLS_A_CHAIN, len(some))
        except RateLimited as refusal:
            if not wait(refusal):
                return None
            continue
        reading += [_start(bulk, chain_id, slot) for chain_id in some]
        paid = paid[len(some) :]
    futures.wait(reading, max(0.0, bulk.calls.scope.deadline + GRACE_SECONDS - time.monotonic()))
    return {pair: found for done in reading if done.done() for pair, found in done.result().items()}


def _start(bulk: BulkReader, chain_id: int, slot: datetime | None) -> futures.Future[dict[Pair, ChainBalances]]:
    def read() -> dict[Pair, ChainBalances]:
        return {(wallet, chain_id): found for wallet, found in bulk.read(chain_id, slot).items()}

    return bulk.calls.providers.executor.submit(read)
