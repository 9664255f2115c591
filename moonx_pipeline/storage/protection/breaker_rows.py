"""Circuit breakers in PostgreSQL, shared by every process.

The rules are SQL functions (``admit_calls``, ``report_calls``): one round trip for any number of keys, atomic under
the rows' locks, by the database's clock.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection

OK = "ok"
FAILURE = "failure"
NONE = "none"
"""Says nothing about the provider, and gives up a probe's lease."""


class BreakerState(NamedTuple):
    """A circuit breaker's state towards one caller.

    Attributes:
        key: Such as ``alchemy:137``, ``binance`` or ``user:ann``.
        admitted: Whether the caller may go on; if the breaker is half-open, as its probe.
        state: ``closed``, ``open`` or ``half_open``.
        epoch: To be passed on in the report.
        failure_count: Failures in a row.
        opened_at: Since when it has not been closed.
        retry_at: When the next probe is admitted.
        cause: ``failures``, or the kind of refusal that opened it at once.
        last_error: What went wrong last.
    """

    key: str
    admitted: bool
    state: str
    epoch: int
    failure_count: int
    opened_at: datetime | None
    retry_at: datetime | None
    cause: str | None
    last_error: str | None


class Report(NamedTuple):
    """What an admitted caller found.

    Attributes:
        key: The breaker.
        epoch: Of the state by which the caller was admitted.
        outcome: ``OK``, ``FAILURE``, ``NONE``, or a cause that opens it at once.
        error: What went wrong.
        open_for: How long it stays open if this report opens it.
    """

    key: str
    epoch: int
    outcome: str
    error: str | None = None
    open_for: timedelta | None = None


class Transition(NamedTuple):
    """A breaker whose state changed; ``was`` and ``was_cause`` are the previous state and cause."""

    key: str
    was: str
    state: str
    epoch: int
    cause: str | None
    was_cause: str | None
    failure_count: int
    opened_at: datetime | None
    retry_at: datetime | None
    last_error: str | None


class BreakerRow(NamedTuple):
    """A breaker as an operator sees it; ``changed_at`` is when it entered its state."""

    key: str
    state: str
    epoch: int
    changed_at: datetime
    opened_at: datetime | None
    retry_at: datetime | None
    cause: str | None
    failure_count: int
    last_error: str | None
    last_failure_at: datetime | None


def closed(key: str) -> BreakerState:
    """The state of a breaker without a record."""
    return BreakerState(key, True, "closed", 0, 0, None, None, None, None)


def admit(connection: Connection, keys: Collection[str], lease: timedelta) -> dict[str, BreakerState]:
    """The states of breakers towards the caller; breakers that were never open are left out.

    Args:
        connection: In autocommit mode.
        keys: All that the caller will need, in one round trip.
        lease: How long a probe may take before the next caller becomes the probe.
    """
    rows = connection.exec_driver_sql(
        "SELECT key, admitted, state, epoch, failure_count, opened_at, retry_at, cause, last_error "
        "FROM admit_calls(%s::text[], %s)",
        (sorted(keys), lease),
    )
    return {row[0]: BreakerState(*row) for row in rows}


def report(connection: Connection, reports: Sequence[Report], threshold: int) -> list[Transition]:
    """Records what callers found, and returns the breakers whose state it changed.

    Args:
        connection: Inside the transaction that writes the events of the changes.
        reports: Of different keys.
        threshold: Failures in a row that open a breaker.
    """
    rows = connection.exec_driver_sql(
        "SELECT key, was, state, epoch, cause, was_cause, failure_count, opened_at, retry_at, last_error "
        "FROM report_calls(%s::text[], %s::bigint[], %s::text[], %s::text[], %s::interval[], %s)",
        (
            [report.key for report in reports],
            [report.epoch for report in reports],
            [report.outcome for report in reports],
            [report.error for report in reports],
            [report.open_for for report in reports],
            threshold,
        ),
    )
    return [Transition(*row) for row in rows]


def close(connection: Connection, keys: Collection[str]) -> list[Transition]:
    """Closes breakers by hand; returns those that were not closed."""
    rows = connection.exec_driver_sql(
        "SELECT k, b.cause, close_breaker(k) FROM unnest(%s::text[]) k JOIN circuit_breakers b ON b.key = k",
        (sorted(keys),),
    )
    return [
        Transition(key, "open", "closed", epoch, None, was_cause, 0, None, None, None)
        for key, was_cause, epoch in rows
        if epoch is not None
    ]


def breakers(connection: Connection) -> list[BreakerRow]:
    """All breakers that ever counted a failure, those not closed first."""
    rows = connection.exec_driver_sql(
        "SELECT key, state, epoch, changed_at, opened_at, retry_at, cause, failure_count, last_error, last_failure_at "
        "FROM circuit_breakers ORDER BY state = 'closed', key"
    )
    return [BreakerRow(*row) for row in rows]
