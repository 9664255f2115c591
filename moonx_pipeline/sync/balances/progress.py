"""Progress of a sync: tells live listeners how each chain ended, as soon as it does."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from moonx_pipeline.domain.portfolio import ChainBalances, ChainOutcome
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.syncs.progress import notify_progress
from moonx_pipeline.sync.spec import OpenSync
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
        code: The reason for programs; see ``ChainBalances.error_code``.
        retry_at: When it may be asked again, if known.
    """

    state: str
    reason: str | None
    retry_at: datetime | None
    code: str | None = None


def chain_end(readings: Sequence[ChainBalances]) -> ChainEnd:
    """How a chain ended: as its worst wallet did, with the first such reason."""
    for outcome, state in _WORST_FIRST:
        worst = [reading for reading in readings if reading.outcome is outcome]
        if worst:
            first = next((reading for reading in worst if reading.reason), worst[0])
            retry_at = min((reading.retry_at for reading in worst if reading.retry_at), default=None)
            return ChainEnd(state, first.reason, retry_at, first.error_code)
    return ChainEnd("done", None, None)


def notify_chain_end(engine: Engine, sync: OpenSync, chain_id: int, readings: Sequence[ChainBalances]) -> None:
    """Notifies live listeners how the reading of a chain ended.

    Args:
        engine: The pipeline's database.
        sync: The sync.
        chain_id: The chain.
        readings: Those of all wallets.
    """
    end = chain_end(readings)
    # The sync itself does not need progress; if the database is away, the steps that need it report that.
    with suppress(SQLAlchemyError), autocommit(engine) as connection:
        notify_progress(
            connection, user_id=sync.user_id, operation_id=sync.operation_id, chain_id=chain_id, **end._asdict()
        )


def trace_chain_end(chain_id: int, readings: Sequence[ChainBalances]) -> None:
    """Records on the current span how the reading of a chain ended."""
    end = chain_end(readings)
    note({"moonx.chain": chain_id, "moonx.outcome": end.state})
    if end.reason is not None:
        note_failure(end.reason)
