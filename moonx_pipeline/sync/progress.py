"""Reading the chains of a sync that somebody may be waiting for: as each ends, he is told."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from moonx_pipeline.domain.portfolio import ChainBalances, ChainOutcome
from moonx_pipeline.storage.progress import notify_progress
from moonx_pipeline.sync.fetch import BalanceFetch
from moonx_pipeline.sync.order import OpenSync
from moonx_pipeline.tracing import note, note_failure

_WORST_FIRST: Final = (
    (ChainOutcome.FAILED, "failed"),
    (ChainOutcome.PARTIAL, "failed"),
    (ChainOutcome.SKIPPED, "skipped"),
)


class ChainEnd(NamedTuple):
    """How the reading of one chain ended, over all wallets.

    Attributes:
        state: ``done``, ``failed`` or ``skipped``.
        reason: Why it is not done.
        retry_at: When it may be asked again, where that is known.
    """

    state: str
    reason: str | None
    retry_at: datetime | None


def chain_end(readings: Sequence[ChainBalances]) -> ChainEnd:
    """How a chain ended: as the worst of its wallets did, with the first reason of those."""
    for outcome, state in _WORST_FIRST:
        worst = [reading for reading in readings if reading.outcome is outcome]
        if worst:
            reason = next((reading.reason for reading in worst if reading.reason), None)
            return ChainEnd(state, reason, min((r.retry_at for r in worst if r.retry_at), default=None))
    return ChainEnd("done", None, None)


def read_chain_and_tell(engine: Engine, sync: OpenSync, fetch: BalanceFetch, chain_id: int) -> list[ChainBalances]:
    """The readings of all wallets on one chain; whoever listens is told how it ended.

    Args:
        engine: The pipeline's database.
        sync: The sync.
        fetch: Its reading, under way.
        chain_id: The chain.
    """
    readings = fetch.read_chain(chain_id)
    end = chain_end(readings)
    note({"moonx.chain": chain_id, "moonx.outcome": end.state})
    if end.reason is not None:
        note_failure(end.reason)
    # Nobody has to hear of it: where the database is away, the steps that need it say so.
    with suppress(SQLAlchemyError), engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        notify_progress(
            connection,
            user_id=sync.order.user_id,
            operation_id=sync.order.operation_id,
            chain_id=chain_id,
            **end._asdict(),
        )
    return readings
