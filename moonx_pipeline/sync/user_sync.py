"""The whole sync of one user in one call, and what holds for it however it is called."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from moonx_pipeline.domain.chains import CHAINS
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.storage.holdings import stored_state
from moonx_pipeline.sync.fetch import MANY_TOKENS, BalanceFetch
from moonx_pipeline.sync.open import open_sync
from moonx_pipeline.sync.order import OpenSync, SyncOrder
from moonx_pipeline.sync.persist import StoredSync, fail_sync, persist_syncs
from moonx_pipeline.sync.sources import Sources
from moonx_pipeline.sync.value import value_sync

READING_SHARE: Final = 0.6
"""Of a sync's time: a chain that hangs until the end of it leaves enough for prices and for storing."""


def utc_now() -> datetime:
    """Now, with its zone."""
    return datetime.now(UTC)


def start_fetch(engine: Engine, sources: Sources, sync: OpenSync) -> BalanceFetch:
    """Begins to read a sync's balances; its deadline counts from here."""

    def held_tokens(wallet: str, chain_id: int) -> list[str]:
        with engine.connect() as connection:
            stored = stored_state(connection, sync.order.user_id, [(wallet, chain_id)])
        return list(stored.balances.get((wallet, chain_id), {}))

    return BalanceFetch(
        sources,
        sync.wallets,
        first_read=sync.first_read,
        many_tokens=sync.tokens_held > MANY_TOKENS,
        held_tokens=held_tokens,
        scope=CallScope.lasting(sources.sync_seconds * READING_SHARE),
    ).start()


@contextmanager
def recording_failure(engine: Engine, sources: Sources, sync: OpenSync) -> Iterator[None]:
    """Whatever breaks a sync ends its operation as failed, with its event, before it goes on up."""
    try:
        yield
    except BaseException as error:
        code = "internal_error" if isinstance(error, Exception) else "interrupted"
        message = f"{type(error).__name__}: {error}" if isinstance(error, Exception) else "The sync was interrupted."
        try:
            fail_sync(engine, sync, code=code, message=message[:2000], intervals=sources.intervals, now=utc_now())
        except SQLAlchemyError as unrecorded:
            error.add_note(f"Sync {sync.order.operation_id} could not be recorded as failed: {unrecorded}")
        raise


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
    sync = open_sync(engine, order, read_at)
    with recording_failure(engine, sources, sync):
        fetch = start_fetch(engine, sources, sync)
        readings = [reading for chain in CHAINS for reading in fetch.read_chain(chain.id)]
        valued = value_sync(engine, sources, sync, readings, quotes=fetch.quotes(), scope=fetch.scope, read_at=read_at)
        return persist_syncs(engine, [valued], intervals=sources.intervals, now=clock())[0]
