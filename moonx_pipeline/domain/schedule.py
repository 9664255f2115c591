"""When users are due, and for how long an unattended sweep goes on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

MARKET_OPENS: Final = 9
MARKET_CLOSES: Final = 17
ACTIVE_FOR: Final = timedelta(hours=24)
"""A user who was active longer ago is not synced unattended."""

_MOST_DOUBLINGS: Final = 4
_EARLY_SHARE: Final = 5
_BUDGET_SHARE: Final = 0.9


@dataclass(frozen=True, slots=True)
class Intervals:
    """How often portfolios are read: more often from 9 to 17 UTC, every day.

    Attributes:
        market_hours: From 9 to 17 UTC.
        off_hours: At other times.
        stale: A portfolio that was read longer ago goes before others.
        high_value_usd: A portfolio of this value goes before others, in whole USD.
    """

    market_hours: timedelta = timedelta(minutes=5)
    off_hours: timedelta = timedelta(minutes=15)
    stale: timedelta = timedelta(hours=1)
    high_value_usd: int = 10_000

    def at(self, now: datetime) -> timedelta:
        """The interval in force."""
        in_market_hours = MARKET_OPENS <= now.astimezone(UTC).hour < MARKET_CLOSES
        return self.market_hours if in_market_hours else self.off_hours


def next_due(now: datetime, failures: int, intervals: Intervals) -> datetime:
    """The time from which a user is due again.

    Args:
        now: When his sync ended.
        failures: Failures in a row; each doubles the interval, up to 16 times it.
        intervals: How often.
    """
    doublings: int = min(failures, _MOST_DOUBLINGS)
    return now + intervals.at(now) * (1 << doublings)


def due_until(now: datetime, intervals: Intervals) -> datetime:
    """A sweep that begins now takes whoever is due by this time.

    A sync ends some seconds after the tick that began it, so its user is due some seconds after a later tick;
    without an allowance he would wait for the one after that.
    """
    return now + intervals.at(now) / _EARLY_SHARE


def lease_until(now: datetime, seconds: float, intervals: Intervals) -> datetime:
    """When a sync that begins now and lasts at most so long is surely over; no sweep takes its user before."""
    return due_until(now, intervals) + timedelta(seconds=seconds * 1.5)


def sweep_seconds(now: datetime, intervals: Intervals) -> float:
    """How long a sweep that begins now may last: it is over before the next one begins."""
    return intervals.at(now).total_seconds() * _BUDGET_SHARE
