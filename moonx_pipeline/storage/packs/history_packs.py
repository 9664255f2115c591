"""Packs of history: the snapshots of a user's wallet on one day, in one row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import Connection

from moonx_pipeline.storage.packs.columns import pack_texts, unpack_texts

_INSERT = """
INSERT INTO history_packs (user_id, wallet_address, day, grain, first_at, last_at, created_at, operation_ids, totals,
    snapshots)
VALUES (%s, %s, %s, %s, %s, %s, %s::timestamptz[], %s::uuid[], %s::numeric[], %s)
"""


class Snapshot(NamedTuple):
    """What one sync stored of a wallet.

    Attributes:
        at: When.
        operation_id: The sync.
        total: The sum of the values that count, in USD.
        positions: JSON: an array of arrays with type of snapshot, chain, token, symbol, balance, amount, price, value,
            and whether it counts. A value of ``true`` is amount times price.
    """

    at: datetime
    operation_id: str
    total: Decimal
    positions: str


def store_history_pack(
    connection: Connection, user_id: str, wallet: str, grain: str, snapshots: Sequence[Snapshot]
) -> None:
    """Stores snapshots of one day as a pack.

    Args:
        connection: In the transaction that removes them from where they were.
        user_id, wallet: Whose they are.
        grain: ``whole``, ``hour`` or ``day``.
        snapshots: In the order of their times, at least one.
    """
    at, operations, totals, positions = (list(column) for column in zip(*snapshots, strict=True))
    day = snapshots[0].at.astimezone(UTC).date()
    connection.exec_driver_sql(
        _INSERT, (user_id, wallet, day, grain, at[0], at[-1], at, operations, totals, pack_texts(positions))
    )


def unpack_history(
    created_at: Sequence[datetime], operation_ids: Sequence[str], totals: Sequence[Decimal], snapshots: bytes
) -> list[Snapshot]:
    """The snapshots of a pack, in the order of their times."""
    columns = (created_at, operation_ids, totals, unpack_texts(snapshots))
    return [Snapshot(*values) for values in zip(*columns, strict=True)]


def last_of_each(grain: str, snapshots: Iterable[Snapshot]) -> set[tuple[datetime, str]]:
    """The time and sync of the last snapshot of each hour, or day, in UTC.

    Args:
        grain: ``hour`` or ``day``.
        snapshots: Of all wallets of a user.
    """
    last: dict[datetime, tuple[datetime, str]] = {}
    for snapshot in snapshots:
        window = snapshot.at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        if grain == "day":
            window = window.replace(hour=0)
        this = (snapshot.at, snapshot.operation_id)
        last[window] = max(last.get(window, this), this)
    return set(last.values())
