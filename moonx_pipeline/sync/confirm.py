"""The confirm stage of a sweep: ends the syncs that found what is stored, before anything is valued."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial

from moonx_pipeline.domain.portfolio import ChainBalances, ChainOutcome
from moonx_pipeline.domain.schedule import next_due
from moonx_pipeline.metrics.syncs import count_sync
from moonx_pipeline.storage.syncs.unchanged import Batch, ChainReading, UnchangedSync, confirm_unchanged
from moonx_pipeline.sync.ending import milliseconds
from moonx_pipeline.sync.outcome import balances_standing, is_list
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline.sync.value import PricedBatch, PricedSync


def confirm_syncs(runtime: Runtime, priced: PricedBatch, now: datetime) -> tuple[list[PricedSync], list[PricedSync]]:
    """Ends a sweep's syncs that found nothing changed; see ``confirm_unchanged``.

    Args:
        runtime: The database, and the rules for when users are due again.
        priced: What the portfolios of a batch follow from.
        now: When they end.

    Returns:
        The syncs that ended, and those left to be valued and stored.
    """
    # A first sync changes something, at the least from nothing to what is held.
    plain = [one for one in priced.syncs if not one.read.sync.is_new and all(map(_is_plain, one.read.readings))]
    if not plain:
        return [], list(priced.syncs)
    policy, first = runtime.policy, plain[0].read.sync
    batch = Batch(
        read_at=priced.read_at,
        at=now,
        next_sync_at=next_due(now, 0, policy.intervals),
        high_value_usd=policy.intervals.high_value_usd,
        chain_ids=policy.chain_ids,
    )
    syncs = [_unchanged(one) for one in plain]
    readings = _by_way(plain)
    deadline = first.budget.deadline
    confirm = partial(confirm_unchanged, seconds=deadline - time.monotonic())
    confirmed = runtime.db.transaction(deadline, confirm, batch, syncs, readings)
    ended: list[PricedSync] = []
    left: list[PricedSync] = []
    for one in priced.syncs:
        (ended if one.read.sync.user_id in confirmed else left).append(one)
    for one in ended:
        ref = one.read.sync.ref
        count_sync(ref.trigger, "completed", milliseconds=milliseconds(ref.started_at, now))
    return ended, left


def _is_plain(reading: ChainBalances) -> bool:
    """Whether a reading leaves nothing open that a chain's status would have to say."""
    if reading.outcome is ChainOutcome.KEPT:
        return True
    return reading.outcome is ChainOutcome.OK and not reading.unknown and not reading.is_resumed


def _unchanged(one: PricedSync) -> UnchangedSync:
    sync = one.read.sync
    return UnchangedSync(
        sync.user_id,
        sync.operation_id,
        sync.fence,
        sync.ref.started_at,
        one.inputs,
        balances_standing(one.read.readings),
        len(one.holdings),
        one.costs.provider_calls,
        one.costs.compute_units,
    )


def _by_way(syncs: Iterable[PricedSync]) -> Sequence[ChainReading]:
    """The readings of all users, those alike together: a batch has some dozen kinds."""
    kinds: dict[tuple[object, ...], ChainReading] = {}
    for one in syncs:
        user_id = one.read.sync.user_id
        for r in one.read.readings:
            if r.outcome is ChainOutcome.KEPT:
                continue
            kind = (r.chain_id, r.source, r.way, r.coverage, r.reason, r.block, r.known_block)
            group = kinds.get(kind)
            if group is None:
                group = kinds[kind] = ChainReading(
                    r.chain_id,
                    r.source,
                    r.way.value if r.way else None,
                    r.coverage.value,
                    r.reason,
                    r.block,
                    r.known_block,
                    is_list(r),
                    [],
                    [],
                )
            group.users.append(user_id)
            group.wallets.append(r.wallet)
    return list(kinds.values())
