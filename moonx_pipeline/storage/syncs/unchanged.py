"""Syncs of sweeps that found nothing changed: one statement a batch, and no row of their own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from moonx_pipeline.domain.schedule import ORDINARY_SPACING
from moonx_pipeline.storage.connection.recordset import recordset
from moonx_pipeline.storage.connection.statements import sql_beside


class UnchangedSync(msgspec.Struct, frozen=True, gc=False):
    """A sync whose inputs may be those of the stored portfolio.

    Attributes:
        user_id, operation_id, fence, started_at: The sync.
        inputs: The digest of its inputs.
        balances: As in ``OperationEnd``.
        tokens: How many the user holds.
        provider_calls, compute_units: What it used of the providers.
    """

    user_id: str
    operation_id: UUID
    fence: int
    started_at: datetime
    inputs: bytes
    balances: str
    tokens: int
    provider_calls: int
    compute_units: int


class ChainReading(msgspec.Struct, gc=False):
    """A way in which wallets were read on a chain, with these wallets.

    Attributes:
        chain_id, source, way, coverage, block, known_block: As in ``ChainBalances``.
        error: What its source can't know.
        is_list: Whether their tokens were listed.
        users, wallets: Whose wallet, and which; both of the same length.
    """

    chain_id: int
    source: str | None
    way: str | None
    coverage: str
    error: str | None
    block: int | None
    known_block: int | None
    is_list: bool
    users: list[str]
    wallets: list[str]


class Batch(msgspec.Struct, frozen=True):
    """What the syncs of a batch share.

    Attributes:
        read_at, at: When its reading began, and when it ends.
        next_sync_at: When its users are due again.
        high_value_usd: From which value a portfolio is large.
        chain_ids: The chains that are read.
    """

    read_at: datetime
    at: datetime
    next_sync_at: datetime
    high_value_usd: int
    chain_ids: Sequence[int]


# Two statements: the second sees what was committed while the first waited for the locks.
_CONFIRM: Final = sql_beside(__file__, "confirm_syncs")


def confirm_unchanged(
    connection: Connection,
    batch: Batch,
    syncs: Sequence[UnchangedSync],
    readings: Sequence[ChainReading],
    *,
    seconds: float,
) -> set[str]:
    """Ends those syncs that have the inputs of what is stored: their users were read, and nothing else is written.

    A sync is left open if its inputs differ, if another one was stored meanwhile, or if it is to have an operation: the
    first of a day (UTC), one after a failure, after a longer silence, or after a movement since it began.

    Args:
        connection: Inside a transaction.
        batch: What they share.
        syncs: Of different users.
        readings: How their wallets were read.
        seconds: The longest that a statement may take.

    Returns:
        The users whose syncs have ended.
    """
    at = batch.at
    rows = connection.exec_driver_sql(
        _CONFIRM,
        {
            **msgspec.structs.asdict(batch),
            "timeout": max(1, int(seconds * 1000)),
            "users": [sync.user_id for sync in syncs],
            "syncs": recordset(syncs),
            "readings": recordset(readings),
            "chains": msgspec.json.encode([_report(reading) for reading in readings]).decode(),
            "chain_ids": list(batch.chain_ids),
            "today": at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0),
            "since": at - ORDINARY_SPACING,
        },
    )
    return set(rows.scalars())


def _report(reading: ChainReading) -> dict[str, Any]:
    return {
        "chainId": reading.chain_id,
        "source": reading.source,
        "way": reading.way,
        "block": reading.block,
        "wallets": len(reading.wallets),
    }
