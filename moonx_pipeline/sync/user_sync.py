"""The whole sync of one user in one call, and what holds for it however it is called."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from moonx_pipeline.domain.chains import CHAINS
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.sync.breaking import settle, user_key
from moonx_pipeline.sync.fetch import MANY_TOKENS, BalanceFetch
from moonx_pipeline.sync.memory import StoredMemory
from moonx_pipeline.sync.open import open_sync
from moonx_pipeline.sync.order import OpenSync, SyncOrder
from moonx_pipeline.sync.persist import StoredSync, fail_sync, persist_syncs
from moonx_pipeline.sync.sources import Sources
from moonx_pipeline.sync.value import ValuedSync, value_sync
from moonx_pipeline.tracing import note_failure

READ_BY: Final = 0.6
"""The share of a sync's time by which balances are read: a chain that hangs until then leaves enough for the rest."""

_DATABASE_TROUBLE: Final = (OperationalError, InterfaceError, PoolTimeout)
_STATEMENT_CANCELED: Final = "57014"


def utc_now() -> datetime:
    """Now, with its zone."""
    return datetime.now(UTC)


def start_fetch(engine: Engine, sources: Sources, sync: OpenSync) -> BalanceFetch:
    """Begins to read a sync's balances."""

    return fetch_of(engine, sources, [sync], CallScope(sync.after(READ_BY)), first_read=sync.first_read).start()


def fetch_of(
    engine: Engine,
    sources: Sources,
    syncs: Sequence[OpenSync],
    scope: CallScope,
    *,
    first_read: bool,
    quiet: Collection[tuple[str, int]] = frozenset(),
) -> BalanceFetch:
    """The reading of the balances of several users together, not begun yet.

    Args:
        engine: Where it is looked up what earlier syncs left of a wallet.
        sources: The providers.
        syncs: At least one; they share their breakers.
        scope: Deadline and tally.
        first_read: Whether metadata and prices are wanted with the balances.
        quiet: Wallets and chains that are not asked since nothing moved.
    """
    owners = {wallet: sync for sync in syncs for wallet in sync.wallets}
    return BalanceFetch(
        sources,
        list(owners),
        first_read=first_read,
        many_tokens={wallet for wallet, sync in owners.items() if sync.tokens_held > MANY_TOKENS},
        memory=StoredMemory(engine, {wallet: sync.order.user_id for wallet, sync in owners.items()}),
        breakers=syncs[0].breakers,
        scope=scope,
        quiet=quiet,
    )


@contextmanager
def recording_failure(engine: Engine, sources: Sources, sync: OpenSync) -> Iterator[None]:
    """Whatever breaks a sync ends its operation as failed, with its event, before it goes on up.

    What is wrong with a user's own data counts for his breaker; that the database was away does not.
    """
    try:
        yield
    except BaseException as error:
        code, message = what_broke(error)
        note_failure(f"{code}: {message}")
        if code == "internal_error":
            sync.breakers.note_failure(user_key(sync.order.user_id), message)
        try:
            fail_sync(engine, sources, sync, code=code, message=message, now=utc_now())
            settle(engine, sources.breaking, sync.breakers)
        except SQLAlchemyError as unrecorded:
            error.add_note(f"Sync {sync.order.operation_id} could not be recorded as failed: {unrecorded}")
        raise


def what_broke(error: BaseException) -> tuple[str, str]:
    """Why a sync ended without a result: a code, and a sentence for people."""
    if not isinstance(error, Exception):
        return "interrupted", "The sync was interrupted."
    if isinstance(error, OperationalError) and getattr(error.orig, "pgcode", None) == _STATEMENT_CANCELED:
        return "deadline_exceeded", "The sync's time (WORKER_TIMEOUT) was over before its result was stored."
    if isinstance(error, _DATABASE_TROUBLE):
        return "database_away", f"The database could not be used: {str(error).splitlines()[0]}"[:500]
    return "internal_error", f"{type(error).__name__}: {error}"[:2000]


def store_sync(engine: Engine, sources: Sources, valued: ValuedSync, now: datetime) -> StoredSync:
    """Stores one sync, and tells the shared breakers what it found out of the providers and the user."""
    (stored,) = persist_syncs(engine, sources, [valued], now)
    if stored.status in ("completed", "partial"):
        valued.sync.breakers.note_ok(user_key(stored.user_id))
    return replace(stored, alerts=tuple(settle(engine, sources.breaking, valued.sync.breakers)))


def sync_user(
    engine: Engine, sources: Sources, order: SyncOrder, *, clock: Callable[[], datetime] = utc_now
) -> StoredSync:
    """Syncs one user: opens, reads all chains, values and stores.

    Args:
        engine: The pipeline's database.
        sources: The providers.
        order: What to sync.
        clock: The time.

    Raises:
        SyncRefused: It could not begin.
    """
    read_at = clock()
    sync = open_sync(engine, sources, order, read_at)
    with recording_failure(engine, sources, sync):
        fetch = start_fetch(engine, sources, sync)
        readings = [reading for chain in CHAINS for reading in fetch.read_chain(chain.id)]
        valued = value_sync(engine, sources, sync, readings, quotes=fetch.quotes(), scope=fetch.scope, read_at=read_at)
        return store_sync(engine, sources, valued, clock())
