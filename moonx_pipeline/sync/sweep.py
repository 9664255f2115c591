"""The sweep: syncs due users in concurrent batches, until nobody is due or its time is over."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final

from sqlalchemy import Engine

from moonx_pipeline.clock import utc_now
from moonx_pipeline.domain.providers import ALCHEMY, NODE
from moonx_pipeline.domain.schedule import ACTIVE_FOR, Intervals, due_until, sweep_seconds
from moonx_pipeline.providers.errors import RateLimited
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.storage.requests.pause import current_pause
from moonx_pipeline.storage.syncs.claims import Claim, is_anybody_due, unschedule_inactive
from moonx_pipeline.storage.syncs.webhooks import NO_WEBHOOKS, Webhooks
from moonx_pipeline.sync.balances.fetch import MANY_TOKENS
from moonx_pipeline.sync.balances.known import SAMPLED_USERS
from moonx_pipeline.sync.fetch import BatchFetch, Fetched, ReadSync
from moonx_pipeline.sync.open import open_syncs
from moonx_pipeline.sync.pipeline import Finished, SyncPipeline
from moonx_pipeline.sync.protection.breakers import Breakers, load_breakers
from moonx_pipeline.sync.recovery import process_worker
from moonx_pipeline.sync.release import release_claims
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline.sync.selection import Due
from moonx_pipeline.sync.spec import OpenSync, TimeBudget
from moonx_pipeline.tracing import note, span

BATCHES_AT_ONCE: Final = 6
"""Concurrent batches: while one waits for providers, others are valued and stored."""

_LEAST_SECONDS: Final = 5.0
"""With fewer seconds left, no further batch starts."""

_SPREAD_SECONDS: Final = 0.25
_MOST_SHOWN: Final = 50


@dataclass(frozen=True, slots=True)
class SweepSpec:
    """A sweep as requested.

    Attributes:
        batch_size: Users per batch.
        shard, shards: Its share of the users, as number and count.
        max_users: The most users; 0 for no limit.
        webhooks: The webhooks that are set up: on their chains, users without a reported movement are not read.
        run_id: The Dagster run that executes it.
        batches_at_once: The number of concurrent batches.
    """

    batch_size: int
    shard: int = 0
    shards: int = 1
    max_users: int = 0
    webhooks: Webhooks = NO_WEBHOOKS
    run_id: str | None = None
    batches_at_once: int = BATCHES_AT_ONCE


@dataclass(slots=True)
class SweepReport:
    """The result of a sweep.

    Attributes:
        ended: Why it ended, a sentence.
        statuses: The number of users by their sync's status.
        changed: Users whose portfolio changed.
        rows: Holdings rows written.
        price_only: Users whose balances were not read, since nothing moved.
        batches: Batches that ended.
        provider_calls, compute_units: Its use of the providers.
        seconds: Its duration.
        problems: The first users who failed, and why.
        new_users: Users whose first sync it was, or the first after weeks.
    """

    ended: str = "Nobody else is due."
    statuses: Counter[str] = field(default_factory=Counter)
    changed: int = 0
    rows: int = 0
    price_only: int = 0
    batches: int = 0
    provider_calls: int = 0
    compute_units: int = 0
    seconds: float = 0.0
    problems: dict[str, str] = field(default_factory=dict)
    new_users: list[str] = field(default_factory=list)

    @property
    def users(self) -> int:
        return sum(self.statuses.values())

    def add(self, fetch: BatchFetch, finished: Sequence[Finished]) -> None:
        """Adds a batch."""
        scope = fetch.balances.calls.scope
        self.batches += 1
        self.price_only += sum(sync.unmoved_chains.issuperset(fetch.chain_ids) for sync in fetch.syncs)
        self.new_users += [sync.user_id for sync in fetch.syncs if sync.is_new]
        self.provider_calls += len(scope.calls)
        self.compute_units += scope.compute_units
        stored = [ended for part in finished for ended in part.stored]
        self.rows += max((sum(ended.rows) for ended in stored), default=0)
        if unchanged := sum(part.unchanged for part in finished):
            self.statuses["completed"] += unchanged
        for ended in stored:
            self.statuses[ended.status] += 1
            self.changed += ended.changed
            if ended.status == "failed" and len(self.problems) < _MOST_SHOWN:
                self.problems[ended.user_id] = ended.message or "It failed."


class Sweep:
    """One sweep. Call ``run`` once; ``stop`` may be called from any thread."""

    def __init__(self, runtime: Runtime, spec: SweepSpec, *, clock: Callable[[], datetime] = utc_now) -> None:
        """Prepares a sweep; nothing is claimed yet."""
        self._runtime = runtime
        self._pipeline = SyncPipeline(runtime, clock=clock)
        self._spec = spec
        self._clock = clock
        self._stopping = threading.Event()
        self._claiming = threading.Lock()
        self._claimed = 0
        self._unsampled = SAMPLED_USERS
        self._worker_id = ""
        self._until = 0.0
        self._report = SweepReport()

    def stop(self, reason: str) -> None:
        """Stops the sweep from starting further batches."""
        if not self._stopping.is_set():
            self._report.ended = reason
            self._stopping.set()

    def run(self) -> SweepReport:
        """Syncs due users until nobody is due, its time is over, or it is stopped.

        Releases the claims it did not finish, however it ends.

        Raises:
            SQLAlchemyError: The database was away for too long.
        """
        began, now, intervals = time.monotonic(), self._clock(), self._runtime.policy.intervals
        self._until = began + sweep_seconds(now, intervals)
        self._worker_id = process_worker(self._runtime, now)
        # A process executes one sweep at a time: claims still open are left over from one that lost the database.
        release_claims(self._runtime.db, self._worker_id, now)
        with self._runtime.db.engine.begin() as connection:
            unschedule_inactive(connection, until=due_until(now, intervals), active_since=now - ACTIVE_FOR)
        pool = ThreadPoolExecutor(self._spec.batches_at_once, thread_name_prefix="sweep")
        threads = [pool.submit(self._sync_batches) for _ in range(self._spec.batches_at_once)]
        try:
            self._await(threads)
        finally:
            with self._claiming:  # waits for a claim in progress, so that it is released, too
                self._stopping.set()
            pool.shutdown(wait=False, cancel_futures=True)
            release_claims(self._runtime.db, self._worker_id, self._clock())
            self._report.seconds = time.monotonic() - began
        return self._report

    def _await(self, threads: list[Future[None]]) -> None:
        pending = set(threads)
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for thread in done:
                thread.result()

    def _sync_batches(self) -> None:
        """Syncs batch by batch, each its own trace: one trace of a whole sweep would be too large to read."""
        is_over = False
        while not is_over and not self._stopping.is_set():
            with span("sweep_batch", {"moonx.run": self._spec.run_id}):
                is_over = not self._sync_next()

    def _sync_next(self) -> bool:
        """Syncs the next batch; ``False`` if there is none, or the wait for the rate limit ended the sweep."""
        syncs = self._open_next()
        if not syncs:
            return False
        note({"moonx.users": len(syncs)})
        with_sample = self._is_sample_due(len(syncs))
        fetch = self._pipeline.plan_fetch(syncs, with_sample=with_sample)
        if with_sample and not fetch.balances.in_full:
            self._unsampled = SAMPLED_USERS  # nobody could be: a later batch may have somebody
        if not fetch.balances.start_reserved(partial(self._wait, fetch.balances.calls.scope)):
            operations = [sync.operation_id for sync in syncs]
            release_claims(self._runtime.db, self._worker_id, self._clock(), operations)
            self._pipeline.report(syncs[0])
            return False
        finished = [self._pipeline.finish(part) for part in _apart(fetch.result())]
        self._pipeline.report(syncs[0])
        self._pipeline.report_differences(fetch)
        with self._claiming:
            self._report.add(fetch, finished)
        return True

    def _is_sample_due(self, users: int) -> bool:
        """Whether some wallets of a batch are to be read both ways, and compared."""
        with self._claiming:
            self._unsampled += users
            is_due = self._unsampled >= SAMPLED_USERS
            if is_due:
                self._unsampled = 0
        return is_due

    def _wait(self, scope: CallScope, refusal: RateLimited) -> bool:
        """Waits for the rate limit, at a random offset from other sweeps, if that leaves the batch enough time."""
        wanted = (refusal.retry_at - utc_now()).total_seconds() if refusal.retry_at else 1.0
        seconds = max(0.0, wanted) + random.uniform(0.0, _SPREAD_SECONDS)  # noqa: S311 - no secret
        if seconds > scope.remaining() / 2:
            self.stop(f"There was no room for more. {refusal}")
        return not self._stopping.wait(seconds if not self._stopping.is_set() else 0)

    def _open_next(self) -> list[OpenSync]:
        """Opens the syncs of the next users; of none if the sweep is over."""
        policy, providers = self._runtime.policy, self._runtime.providers
        breakers = load_breakers(self._runtime.db, policy.breakers, providers.breaker_keys)
        refusal = _nothing_readable(self._runtime, breakers)
        if refusal:
            self.stop(refusal)
        with self._claiming:
            left = self._until - time.monotonic()
            limit = self._spec.batch_size
            if self._spec.max_users:
                limit = min(limit, self._spec.max_users - self._claimed)
            if left < _LEAST_SECONDS:
                self.stop("Its time is over: who is left is due in the next one.")
            elif limit <= 0:
                self.stop("It reached the most users of one sweep (PERIODIC_SYNC_MAX_USERS).")
            if self._stopping.is_set():
                return []
            with self._runtime.db.engine.connect() as connection:
                pause = current_pause(connection)
            if pause is not None:
                self.stop(pause.sentence)
                return []
            now, budget = self._clock(), TimeBudget.starting_now(min(policy.sync_seconds, left))
            due = Due(self._claim(now), limit, self._spec.webhooks, self._spec.run_id)
            syncs = open_syncs(self._runtime, due, breakers, budget, self._worker_id, now)
            self._claimed += len(syncs)
        return syncs

    def _claim(self, now: datetime) -> Claim:
        spec, intervals = self._spec, self._runtime.policy.intervals
        return Claim(
            now=now,
            until=due_until(now, intervals),
            active_since=now - ACTIVE_FOR,
            stale_before=now - intervals.stale,
            shard=spec.shard,
            shards=spec.shards,
            keep_since=now - intervals.stale,
        )


def _apart(fetched: Fetched) -> list[Fetched]:
    """Splits off users with many tokens, so that one sync does not use up what another may ask about."""
    few: list[ReadSync] = []
    parts = [few]
    for read in fetched.reads:
        if sum(len(reading.balances) for reading in read.readings) > MANY_TOKENS:
            parts.append([read])
        else:
            few.append(read)
    return [fetched._replace(reads=part) for part in parts if part]


def why_no_sweep(engine: Engine, intervals: Intervals, now: datetime) -> str | None:
    """Why a sweep that starts now would sync nobody; ``None`` if it would sync users."""
    with engine.begin() as connection:
        pause = current_pause(connection)
        if pause is not None:
            return pause.sentence
        until, active_since = due_until(now, intervals), now - ACTIVE_FOR
        if is_anybody_due(connection, until=until, active_since=active_since):
            return None
        unschedule_inactive(connection, until=until, active_since=active_since)
    return "Nobody is due."


def _nothing_readable(runtime: Runtime, breakers: Breakers) -> str | None:
    """Why no balance can be read now; ``None`` if some can."""
    alchemy, nodes = runtime.providers.alchemy, runtime.providers.nodes
    served = [chain.id for chain in runtime.policy.chains if alchemy is not None and alchemy.serves(chain.id)]
    ways = [*map(ALCHEMY.breaker_of, served), *map(NODE.breaker_of, nodes)]
    if not ways:
        return "There is no source of balances: set ALCHEMY_API_KEY, or RPC_URL_ETHEREUM and the like."
    if all(breakers.is_open(key) for key in ways):
        return f"No chain can be read now, so nobody is synced. {breakers.refusal(ways[0])}"
    return None
