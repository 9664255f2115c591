"""Progress of a sync: tells live listeners how each chain ended, as soon as it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from moonx_pipeline.domain.portfolio import ChainBalances, ChainOutcome
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.syncs.progress import ChainProgress, notify_progress
from moonx_pipeline.sync.spec import OpenSync
from moonx_pipeline.tracing import note, note_failure

_WORST_FIRST: Final = (
    (ChainOutcome.FAILED, "failed"),
    (ChainOutcome.PARTIAL, "failed"),
    (ChainOutcome.SKIPPED, "skipped"),
)


def chain_end(chain_id: int, readings: Sequence[ChainBalances]) -> ChainProgress:
    """How a chain ended: as its worst wallet did, with the first such reason."""
    for outcome, state in _WORST_FIRST:
        worst = [reading for reading in readings if reading.outcome is outcome]
        if worst:
            first = next((reading for reading in worst if reading.reason), worst[0])
            retry_at = min((reading.retry_at for reading in worst if reading.retry_at), default=None)
            return ChainProgress(chain_id, state, first.reason, retry_at, first.error_code)
    return ChainProgress(chain_id, "done")


def notify_chain_ends(engine: Engine, sync: OpenSync, ends: Mapping[int, Sequence[ChainBalances]]) -> None:
    """Notifies live listeners how the reading of chains ended.

    Args:
        engine: The pipeline's database.
        sync: The sync.
        ends: The readings of all wallets, by chain.
    """
    chains = [chain_end(chain_id, readings) for chain_id, readings in ends.items()]
    # The sync itself does not need progress; if the database is away, the steps that need it report that.
    with suppress(SQLAlchemyError), autocommit(engine) as connection:
        notify_progress(connection, sync.user_id, sync.operation_id, chains)


def trace_chain_end(chain_id: int, readings: Sequence[ChainBalances]) -> None:
    """Records on the current span how the reading of a chain ended."""
    end = chain_end(chain_id, readings)
    note({"moonx.chain": chain_id, "moonx.outcome": end.state})
    if end.reason is not None:
        note_failure(end.reason)
