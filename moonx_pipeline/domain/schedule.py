"""When users are due, and how long a sweep lasts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

MARKET_OPENS: Final = 9
MARKET_CLOSES: Final = 17
ACTIVE_FOR: Final = timedelta(hours=24)
"""Sweeps skip users who were last active longer ago."""

ORDINARY_SPACING: Final = timedelta(minutes=45)
"""Unattended readings are at most a quarter of an hour apart; one that is two more quarters late is not missing yet.

After a longer silence there is a gap that the chart shows, so the next sync has an operation even without a change.
"""

_MOST_DOUBLINGS: Final = 4
_EARLY_SHARE: Final = 5
_BUDGET_SHARE: Final = 0.9


@dataclass(frozen=True, slots=True)
class Intervals:
    """How often portfolios are read: more often from 9 to 17 UTC, every day.

    Attributes:
        market_hours: From 9 to 17 UTC.
        off_hours: At other times.
        stale: Portfolios read longer ago go before others.
        high_value_usd: Portfolios of at least this value go before others, in whole USD.
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
        now: When their sync ended.
        failures: Failures in a row; each doubles the interval, up to 16 times it.
        intervals: How often portfolios are read.
    """
    doublings: int = min(failures, _MOST_DOUBLINGS)
    return now + intervals.at(now) * (1 << doublings)


def due_until(now: datetime, intervals: Intervals) -> datetime:
    """The time by which a user must be due for a sweep that starts now.

    A sync ends some seconds after the tick that started it, so its user is due some seconds after a later tick;
    without an allowance they would wait for the one after that.
    """
    return now + intervals.at(now) / _EARLY_SHARE


def lease_until(now: datetime, seconds: float, intervals: Intervals) -> datetime:
    """The lease of a sync that starts now and lasts at most ``seconds``: no sweep claims its user before."""
    return due_until(now, intervals) + timedelta(seconds=seconds * 1.5)


def sweep_seconds(now: datetime, intervals: Intervals) -> float:
    """Seconds that a sweep that starts now may last, so that it ends before the next one starts."""
    return intervals.at(now).total_seconds() * _BUDGET_SHARE
