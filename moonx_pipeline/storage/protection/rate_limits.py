"""The rate limiter: sliding windows and blocks in PostgreSQL, shared by every process.

The rules are SQL functions (``take_permits``, ``block_key``): one round trip a decision, atomic under the row's
lock, by the database's clock. Call them in autocommit mode, so that a lock is held for microseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection

from moonx_pipeline.metrics.protection import count_exceeded


class Limit(NamedTuple):
    """What one call takes from one rate limit.

    Attributes:
        key: Such as ``user:ann:sync`` or ``alchemy``.
        cost: Permits that the call takes, capped at ``most``.
        most: Permits in any window; ``None`` if only blocks apply.
        window: The window's length.
    """

    key: str
    cost: int
    most: int | None
    window: timedelta


class Grant(NamedTuple):
    """The limiter's answer.

    Attributes:
        granted: Whether the permits were taken.
        wait_seconds: Until the call may be made; if refused, until it is worth asking again.
        slot: The same as a time of the database's clock.
        remaining: What is left of the first limit now; ``None`` if it has no window.
        reset_at: When the next permit of the first limit comes back.
        refused_by: The key that refused.
    """

    granted: bool
    wait_seconds: float
    slot: datetime
    remaining: int | None
    reset_at: datetime | None
    refused_by: str | None


class Block(NamedTuple):
    """A key that grants nothing until a time."""

    key: str
    blocked_at: datetime
    blocked_until: datetime
    reason: str


_AT_ONCE = timedelta(0)


def take(connection: Connection, limits: Sequence[Limit], patience: timedelta = _AT_ONCE) -> Grant:
    """Takes a call's permits from all of its limits, or from none.

    Args:
        connection: In autocommit mode; inside a transaction the keys stay locked until it ends.
        limits: Of different keys.
        patience: How long the caller would wait for a slot.
    """
    row = connection.exec_driver_sql(
        "SELECT granted, wait_seconds, slot, remaining, reset_at, refused_by "
        "FROM take_permits(%s::text[], %s::integer[], %s::integer[], %s::interval[], %s)",
        (
            [limit.key for limit in limits],
            [limit.cost for limit in limits],
            [limit.most for limit in limits],
            [limit.window for limit in limits],
            patience,
        ),
    ).one()
    grant = Grant(*row)
    if grant.refused_by is not None:
        count_exceeded(grant.refused_by)
    return grant


def block(
    connection: Connection, key: str, *, wait: timedelta | None, reason: str, slot: datetime | None = None
) -> datetime:
    """Blocks a key until a time, which is returned.

    Args:
        connection: In autocommit mode.
        key: The key whose provider refused a call.
        wait: How long the provider wants no calls; ``None`` backs off, doubling with each refusal.
        reason: What the provider said, for the operator.
        slot: The slot that the refused call had.
    """
    until: datetime = connection.exec_driver_sql(
        "SELECT block_key(%s, %s, %s, %s)", (key, wait, slot, reason)
    ).scalar_one()
    return until


def blocked_seconds(connection: Connection, keys: Sequence[str]) -> float:
    """How long the longest block among keys still lasts; 0 if there is none."""
    seconds: float = connection.exec_driver_sql(
        "SELECT coalesce(greatest(extract(epoch FROM max(blocked_until) - moonx_clock()), 0), 0)::float8 "
        "FROM rate_limits WHERE key = ANY(%s)",
        (list(keys),),
    ).scalar_one()
    return seconds


def current_blocks(connection: Connection) -> list[Block]:
    """The current blocks, the longest first."""
    rows = connection.exec_driver_sql(
        "SELECT key, blocked_at, blocked_until, coalesce(block_reason, '') FROM rate_limits "
        "WHERE blocked_until > moonx_clock() ORDER BY blocked_until DESC, key"
    )
    return [Block(*row) for row in rows]
