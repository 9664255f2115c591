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
from moonx_pipeline.storage.webhooks import Webhooks, alive_since
from moonx_pipeline.sync.breaking import Breakers, read_breakers, settle, user_key
from moonx_pipeline.sync.fetch import MANY_TOKENS, Wait
from moonx_pipeline.sync.order import OpenSync, SyncOrder
from moonx_pipeline.sync.persist import StoredSync, fail_sync, persist_syncs
from moonx_pipeline.sync.repeat import in_database
from moonx_pipeline.sync.sources import Sources
from moonx_pipeline.sync.user_sync import READ_BY, fetch_of, what_broke
from moonx_pipeline.sync.value import ReadSync, ValuedSync, value_syncs


class Batch(NamedTuple):
    """Users and their running syncs.

    Attributes:
        syncs: One for each.
        quiet_chains: The chains of each user on which what is stored is still what they hold: nothing moved
            there, and the chain's webhook would have told.
        new_users: Users whose first sync this is, or the first after weeks.
        scope: Deadline of the reading, and tally of all provider calls.
    """

    syncs: list[OpenSync]
    quiet_chains: Mapping[str, frozenset[int]]
    new_users: list[str]
    scope: CallScope

    @property
    def price_only(self) -> list[str]:
        """Users of whom no balance has to be read."""
        return [user_id for user_id, chain_ids in self.quiet_chains.items() if chain_ids.issuperset(_CHAIN_IDS)]


def open_batch(
    engine: Engine,
    sources: Sources,
    breakers: Breakers,
    claim: Claim,
    webhooks: Webhooks,
    *,
    limit: int,
    seconds: float,
) -> Batch:
    """Takes due users and opens a sync for each, in one transaction.

    Args:
        engine: The pipeline's database.
        sources: For how steps are repeated.
        breakers: Of all sources; those of users that count failures are added.
        claim: Which users.
        webhooks: The webhooks that are set up.
        limit: How many at most.
        seconds: How long their syncs may take.
    """
    began = time.monotonic()

    def take() -> tuple[list[ClaimedUser], dict[int, datetime]]:
        with engine.begin() as connection:
            telling = alive_since(connection, webhooks, claim.now)
            claimed = claim_due(connection, claim, limit)
            insert_events(
                connection,
                [sync_started(_facts(user), version=user.version, chains=_CHAIN_IDS) for user in claimed],
            )
        return claimed, telling

    claimed, telling = in_database(sources.repeats, began + seconds, take)
    failing = [user_key(user.user_id) for user in claimed if user.has_failed]
    if failing:
        breakers = breakers.joined(read_breakers(engine, sources.breaking, failing))
    syncs = [_opened(user, claim, breakers, began, seconds) for user in claimed]
    return Batch(
        syncs,
        {user.user_id: _quiet_chains(user, telling) for user in claimed},
        [user.user_id for user in claimed if user.is_new],
        CallScope(began + seconds * READ_BY),
    )


_CHAIN_IDS = [chain.id for chain in CHAINS]


def _quiet_chains(user: ClaimedUser, telling: Mapping[int, datetime]) -> frozenset[int]:
    """The chains on which a user surely moved nothing since their balances were read.

    Args:
        user: Who moved nothing as far as was told, since some time.
        telling: The chains whose webhooks tell of movements, and since when.
    """
    read_at = user.unmoved_since
    if read_at is None:
        return frozenset()
    return frozenset(chain_id for chain_id, since in telling.items() if since < read_at)


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
    needed = {sync.order.user_id: _needed(batch, sync) for sync in batch.syncs}
    asking = [sync for sync in batch.syncs if needed[sync.order.user_id]]
    found: dict[tuple[str, int], ChainBalances] = {}
    quotes: Mapping[TokenKey, Quote] = {}
    if asking:
        # Users may share a wallet: it is quiet only where it is for all of them.
        asked = frozenset(pair for pairs in needed.values() for pair in pairs)
        quiet = {(wallet, chain_id) for sync in asking for wallet in sync.wallets for chain_id in _CHAIN_IDS} - asked
        fetch = fetch_of(engine, sources, asking, batch.scope, first_read=False, quiet=quiet)
        if not fetch.start_reserved(wait):
            return None
        found = {(r.wallet, r.chain_id): r for chain_id in _CHAIN_IDS for r in fetch.read_chain(chain_id)}
        quotes = fetch.quotes()
    return [
        ReadSync(
            sync,
            [
                found[wallet, chain_id]
                if (wallet, chain_id) in needed[sync.order.user_id]
                else ChainBalances(wallet, chain_id, ChainOutcome.KEPT)
                for chain_id in _CHAIN_IDS
                for wallet in sync.wallets
            ],
        )
        for sync in batch.syncs
    ], quotes


def _needed(batch: Batch, sync: OpenSync) -> frozenset[tuple[str, int]]:
    """The wallets and chains of a user that have to be read."""
    quiet = batch.quiet_chains[sync.order.user_id]
    return frozenset((wallet, chain_id) for wallet in sync.wallets for chain_id in _CHAIN_IDS if chain_id not in quiet)


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
