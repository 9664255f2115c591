"""A micro-batch of a sweep: due users, synced together by the steps that a sync of one user has."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple

from sqlalchemy import Engine

from moonx_pipeline.domain.chains import CHAINS
from moonx_pipeline.domain.events import SyncFacts, sync_started
from moonx_pipeline.domain.portfolio import ChainBalances, ChainOutcome, TokenKey
from moonx_pipeline.domain.quotes import Quote
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.storage.claims import Claim, ClaimedUser, claim_due
from moonx_pipeline.storage.outbox import insert_events
from moonx_pipeline.sync.breaking import Breakers, read_breakers, settle, user_key
from moonx_pipeline.sync.fetch import MANY_TOKENS, Wait
from moonx_pipeline.sync.order import OpenSync, SyncOrder
from moonx_pipeline.sync.persist import StoredSync, fail_sync, persist_syncs
from moonx_pipeline.sync.repeat import in_database
from moonx_pipeline.sync.sources import Sources
from moonx_pipeline.sync.user_sync import READ_BY, fetch_of, what_broke
from moonx_pipeline.sync.value import ReadSync, ValuedSync, value_syncs


class Batch(NamedTuple):
    """Users of whom a sync runs.

    Attributes:
        syncs: One for each.
        price_only: Users whose stored balances are still what they hold.
        new_users: Users whose first sync this is, or the first after weeks.
        scope: Deadline of the reading, and tally of all provider calls.
    """

    syncs: list[OpenSync]
    price_only: frozenset[str]
    new_users: list[str]
    scope: CallScope


def open_batch(
    engine: Engine, sources: Sources, breakers: Breakers, claim: Claim, *, limit: int, seconds: float
) -> Batch:
    """Takes due users and opens a sync for each, in one transaction.

    Args:
        engine: The pipeline's database.
        sources: For how steps are repeated.
        breakers: Of all sources; those of users that count failures are added.
        claim: Whom.
        limit: How many at most.
        seconds: How long their syncs may take.
    """
    began = time.monotonic()

    def take() -> list[ClaimedUser]:
        with engine.begin() as connection:
            claimed = claim_due(connection, claim, limit)
            insert_events(
                connection,
                [sync_started(_facts(user), version=user.version, chains=_CHAIN_IDS) for user in claimed],
            )
        return claimed

    claimed = in_database(sources.repeats, began + seconds, take)
    failing = [user_key(user.user_id) for user in claimed if user.has_failed]
    if failing:
        breakers = breakers.joined(read_breakers(engine, sources.breaking, failing))
    syncs = [_opened(user, claim, breakers, began, seconds) for user in claimed]
    return Batch(
        syncs,
        frozenset(user.user_id for user in claimed if user.price_only),
        [user.user_id for user in claimed if user.is_new],
        CallScope(began + seconds * READ_BY),
    )


_CHAIN_IDS = [chain.id for chain in CHAINS]


def _facts(user: ClaimedUser) -> SyncFacts:
    return SyncFacts(user.operation_id, user.user_id, user.wallets[0], "schedule", user.started_at)


def _opened(user: ClaimedUser, claim: Claim, breakers: Breakers, began: float, seconds: float) -> OpenSync:
    order = SyncOrder(user.operation_id, user.user_id, "schedule", user.priority, run_id=claim.run_id)
    return OpenSync(
        order,
        _facts(user),
        user.fence,
        user.wallets,
        first_read=False,
        tokens_held=user.tokens_held,
        breakers=breakers,
        began=began,
        seconds=seconds,
    )


def sync_batch(
    engine: Engine, sources: Sources, batch: Batch, *, clock: Callable[[], datetime], wait: Wait
) -> list[StoredSync] | None:
    """Reads, values and stores a batch; one user who can't be stored never stops the others.

    Args:
        engine: The pipeline's database.
        sources: Whom to ask.
        batch: At least one user.
        clock: The time.
        wait: Waits until the rate limit has room again, or says that it won't.

    Returns:
        One for each, in any order; ``None`` where it was not waited for, so that nothing was done.

    Raises:
        SQLAlchemyError: The database was away for longer than steps are repeated.
    """
    read_at = clock()
    read = _read(engine, sources, batch, wait)
    stored = None
    if read is not None:
        reads, quotes = read
        valuing = partial(value_syncs, engine, sources, quotes=quotes, scope=batch.scope, read_at=read_at)
        stored = [ended for part in _apart(reads) for ended in _store(engine, sources, part, valuing, clock)]
    settle(engine, sources.breaking, batch.syncs[0].breakers)
    return stored


def _read(
    engine: Engine, sources: Sources, batch: Batch, wait: Wait
) -> tuple[list[ReadSync], Mapping[TokenKey, Quote]] | None:
    asking = [sync for sync in batch.syncs if sync.order.user_id not in batch.price_only]
    found: dict[tuple[str, int], ChainBalances] = {}
    quotes: Mapping[TokenKey, Quote] = {}
    if asking:
        fetch = fetch_of(engine, sources, asking, batch.scope, first_read=False)
        if not fetch.start_reserved(wait):
            return None
        found = {(r.wallet, r.chain_id): r for chain_id in _CHAIN_IDS for r in fetch.read_chain(chain_id)}
        quotes = fetch.quotes()
    kept = batch.price_only
    return [
        ReadSync(
            sync,
            [
                ChainBalances(wallet, chain_id, ChainOutcome.KEPT)
                if sync.order.user_id in kept
                else found[wallet, chain_id]
                for chain_id in _CHAIN_IDS
                for wallet in sync.wallets
            ],
        )
        for sync in batch.syncs
    ], quotes


def _apart(reads: Sequence[ReadSync]) -> list[list[ReadSync]]:
    """Those with many tokens by themselves: what one sync may ask about is not used up by another's."""
    few: list[ReadSync] = []
    parts = [few]
    for read in reads:
        if sum(len(reading.balances) for reading in read.readings) > MANY_TOKENS:
            parts.append([read])
        else:
            few.append(read)
    return [part for part in parts if part]


def _store(
    engine: Engine,
    sources: Sources,
    reads: Sequence[ReadSync],
    value: Callable[[Sequence[ReadSync]], list[ValuedSync]],
    clock: Callable[[], datetime],
) -> list[StoredSync]:
    """Values and stores syncs together; where that fails, in halves, until it is known who it is about."""
    try:
        stored = persist_syncs(engine, sources, value(reads), clock())
    except Exception as error:
        code, message = what_broke(error)
        if code == "database_away":
            raise
        if code != "internal_error" or len(reads) == 1:
            return [failed for read in reads if (failed := _fail(engine, sources, read.sync, code, message, clock()))]
        half = len(reads) // 2
        return [
            *_store(engine, sources, reads[:half], value, clock),
            *_store(engine, sources, reads[half:], value, clock),
        ]
    breakers = reads[0].sync.breakers
    for ended in stored:
        if ended.status in ("completed", "partial"):
            breakers.note_ok(user_key(ended.user_id))
    return stored


def _fail(
    engine: Engine, sources: Sources, sync: OpenSync, code: str, message: str, now: datetime
) -> StoredSync | None:
    if code == "internal_error":
        sync.breakers.note_failure(user_key(sync.order.user_id), message)
    return fail_sync(engine, sources, sync, code=code, message=message, now=now)
