"""The pipeline of a sync: open, fetch, value and store, each over a batch of users; handles failures of each stage.

A click is a batch of one. The ops of the job ``portfolio_sync`` call one stage each; a sweep calls the same stages for
many users at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple

from sqlalchemy.exc import OperationalError, SQLAlchemyError

from moonx_pipeline.clock import utc_now
from moonx_pipeline.domain.events import Event
from moonx_pipeline.domain.reasons import DATABASE_AWAY, DEADLINE_EXCEEDED, INTERNAL_ERROR, INTERRUPTED, Reason
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.storage.connection.causes import why_database_failed
from moonx_pipeline.storage.syncs.outbox import insert_events
from moonx_pipeline.sync.balances.bulk import BulkReader
from moonx_pipeline.sync.balances.compare import difference_alerts, differences
from moonx_pipeline.sync.balances.fetch import MANY_TOKENS, BalanceFetch
from moonx_pipeline.sync.balances.known import known_pairs
from moonx_pipeline.sync.balances.memory import StoredMemory
from moonx_pipeline.sync.balances.progress import notify_chain_ends
from moonx_pipeline.sync.calls import ProviderCalls
from moonx_pipeline.sync.confirm import confirm_syncs
from moonx_pipeline.sync.fetch import BatchFetch, Fetched
from moonx_pipeline.sync.open import open_requested
from moonx_pipeline.sync.protection.breakers import report_breakers, user_key
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline.sync.spec import PERSONAL_TRIGGERS, OpenSync, SyncSpec
from moonx_pipeline.sync.store import LAST_WORDS_SECONDS, StoredSync, fail_sync, store_syncs
from moonx_pipeline.sync.value import ValuedSync, price_ahead, price_batch
from moonx_pipeline.tracing import note_failure

READ_BY: Final = 0.6
"""The share of a sync's time by which balances are read: a chain that hangs until then leaves enough for the rest."""

_STATEMENT_CANCELED: Final = "57014"


class Finished(NamedTuple):
    """How the syncs of a batch ended.

    Attributes:
        unchanged: How many found nothing changed.
        stored: The others that ended here, in any order.
    """

    unchanged: int
    stored: list[StoredSync]


class SyncPipeline:
    """Executes the stages. Shared by threads."""

    def __init__(self, runtime: Runtime, *, clock: Callable[[], datetime] = utc_now) -> None:
        """Makes a pipeline.

        Args:
            runtime: The database, the providers and the rules.
            clock: Returns the time.
        """
        self.runtime = runtime
        self.clock = clock

    def run(self, spec: SyncSpec) -> StoredSync:
        """Syncs one user, in the calling thread.

        Args:
            spec: What to sync.

        Raises:
            SyncRefused: The sync could not start.
        """
        sync = self.open(spec)
        with self.recording_failure(sync):
            fetch = self.start_fetch(sync)
            (valued,) = self.value(fetch.result())
            return self.store_one(valued)

    def open(self, spec: SyncSpec) -> OpenSync:
        """Opens the sync of one user; see ``open_requested``."""
        return open_requested(self.runtime, spec, self.clock())

    def start_fetch(self, sync: OpenSync) -> BatchFetch:
        """Starts to read one user's balances, and the prices of what a user who waits holds; returns at once.

        Live listeners are notified as each chain ends.
        """
        fetch = self.plan_fetch([sync], announce=True)
        fetch.balances.start()
        if sync.spec.trigger not in PERSONAL_TRIGGERS or not 0 < sync.tokens_held <= MANY_TOKENS:
            return fetch
        # Somebody waits, and sees prices of this moment: they are asked for beside the balances.
        asked = self.runtime.providers.executor.submit(price_ahead, self.runtime, fetch.kept())
        return replace(fetch, asked=asked)

    def plan_fetch(
        self, syncs: Sequence[OpenSync], *, announce: bool = False, with_sample: bool | None = None
    ) -> BatchFetch:
        """The fetch stage of a batch, not yet started.

        Args:
            syncs: At least one; they opened together.
            announce: Whether to notify live listeners as each chain ends; only for a batch of one.
            with_sample: Whether some wallets are to be read in bulk and in full; ``None`` if nothing is read in bulk.
        """
        runtime, first, read_at = self.runtime, syncs[0], self.clock()
        known = None if with_sample is None else known_pairs(runtime, syncs, read_at, with_sample=with_sample)
        owners = {wallet: sync for sync in syncs for wallet in sync.wallets}
        chain_ids = runtime.policy.chain_ids
        # Users may share a wallet: its chain is left unread only if no user needs it.
        needed = {
            (wallet, chain_id)
            for sync in syncs
            for wallet in sync.wallets
            for chain_id in chain_ids
            if chain_id not in sync.unmoved_chains
        }
        calls = ProviderCalls(runtime.providers, first.breakers, CallScope(first.budget.after(READ_BY)))
        balances = BalanceFetch(
            calls,
            list(owners),
            chain_ids,
            with_metadata=first.with_metadata,
            many_tokens={wallet for wallet, sync in owners.items() if sync.tokens_held > MANY_TOKENS},
            memory=StoredMemory(
                runtime.db.engine,
                {wallet: sync.user_id for wallet, sync in owners.items()},
                searches=first.with_metadata or first.spec.trigger in PERSONAL_TRIGGERS,
                gaps=known.gaps if known else frozenset(),
            ),
            bulk=BulkReader(calls, known.pairs, known.gaps, known.shares) if known and known.pairs else None,
            in_full=known.in_full if known else frozenset(),
            quiet={(wallet, chain_id) for wallet in owners for chain_id in chain_ids} - needed,
            on_chains_end=partial(notify_chain_ends, runtime.db.engine, first) if announce else None,
        )
        return BatchFetch(tuple(syncs), balances, read_at, chain_ids)

    def value(self, fetched: Fetched) -> list[ValuedSync]:
        """Names, prices and values what was read; see ``price_batch``."""
        return price_batch(self.runtime, fetched).values()

    def store(self, valued: Sequence[ValuedSync]) -> list[StoredSync]:
        """Stores syncs of a batch, all or none; see ``store_syncs``."""
        stored = store_syncs(self.runtime, valued, self.clock())
        for ended in stored:
            if ended.status in ("completed", "partial"):
                valued[0].sync.breakers.record_success(user_key(ended.user_id))
        return stored

    def store_one(self, valued: ValuedSync) -> StoredSync:
        """Stores a batch of one and reports to the shared circuit breakers; the result includes their alerts."""
        (stored,) = self.store([valued])
        return replace(stored, alerts=tuple(self.report(valued.sync)))

    def report(self, sync: OpenSync) -> list[Event]:
        """Reports a batch's results to the shared circuit breakers.

        Args:
            sync: Any sync of the batch.

        Returns:
            One alert for each breaker that opened or closed.
        """
        return report_breakers(self.runtime.db, sync.breakers)

    def report_differences(self, fetch: BatchFetch) -> list[Event]:
        """Writes an alert for each chain on which two ways of reading do not agree; returns the alerts."""
        bulk = fetch.balances.bulk
        found = differences(bulk, fetch.balances.compared()) if bulk is not None else []
        alerts = difference_alerts(found, self.clock())
        if alerts:
            deadline = max(fetch.syncs[0].budget.deadline, time.monotonic() + LAST_WORDS_SECONDS)
            self.runtime.db.transaction(deadline, insert_events, alerts)
        return alerts

    def finish(self, fetched: Fetched) -> Finished:
        """Values and stores a sweep's batch; one user's broken data never stop the others.

        Users without a change are not valued, and leave no row of their own.

        Raises:
            SQLAlchemyError: The database was away for longer than steps are retried.
        """
        try:
            priced = price_batch(self.runtime, fetched)
            unchanged, changed = confirm_syncs(self.runtime, priced, self.clock())
        except Exception as error:
            return self._finish_halves(fetched, error)
        for one in unchanged:
            one.read.sync.breakers.record_success(user_key(one.read.sync.user_id))
        if not changed:
            return Finished(len(unchanged), [])
        left = fetched._replace(reads=[one.read for one in changed])
        try:
            stored = self.store(replace(priced, syncs=changed).values())
        except Exception as error:
            rest = self._finish_halves(left, error)
            return Finished(len(unchanged) + rest.unchanged, rest.stored)
        return Finished(len(unchanged), stored)

    def _finish_halves(self, fetched: Fetched, error: Exception) -> Finished:
        """Halves a batch that broke until the user with the broken data is alone, and fails that one."""
        reason, message = what_broke(error)
        if reason is DATABASE_AWAY:
            raise error
        reads = fetched.reads
        if reason is not INTERNAL_ERROR or len(reads) == 1:
            failed = [self._fail(read.sync, reason, message) for read in reads]
            return Finished(0, [ended for ended in failed if ended is not None])
        half = len(reads) // 2
        first, second = (self.finish(fetched._replace(reads=part)) for part in (reads[:half], reads[half:]))
        return Finished(first.unchanged + second.unchanged, [*first.stored, *second.stored])

    @contextmanager
    def recording_failure(self, sync: OpenSync) -> Iterator[None]:
        """Ends the sync as failed, with its event, if the block raises; re-raises the error."""
        try:
            yield
        except BaseException as error:
            reason, message = what_broke(error)
            note_failure(f"{reason.code}: {message}")
            try:
                self._fail(sync, reason, message)
                self.report(sync)
            except SQLAlchemyError as unrecorded:
                error.add_note(f"Sync {sync.operation_id} could not be recorded as failed: {unrecorded}")
            raise

    def _fail(self, sync: OpenSync, reason: Reason, message: str) -> StoredSync | None:
        """Records a failure. A fault in a user's own data counts for their breaker; a lost database does not."""
        if reason is INTERNAL_ERROR:
            sync.breakers.record_failure(user_key(sync.user_id), message)
        return fail_sync(self.runtime, sync, reason, message, self.clock())


def what_broke(error: BaseException) -> tuple[Reason, str]:
    """The reason why a sync ended without a result, and its sentence."""
    if not isinstance(error, Exception):
        return INTERRUPTED, INTERRUPTED.words
    if isinstance(error, OperationalError) and getattr(error.orig, "pgcode", None) == _STATEMENT_CANCELED:
        return DEADLINE_EXCEEDED, DEADLINE_EXCEEDED.words
    why = why_database_failed(error)
    if why is not None:
        return DATABASE_AWAY, DATABASE_AWAY.say(error=why)
    return INTERNAL_ERROR, f"{type(error).__name__}: {error}"[:2000]
