"""When a user is due again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MARKET_OPENS = 9
MARKET_CLOSES = 17
_MOST_DOUBLINGS = 4


@dataclass(frozen=True, slots=True)
class Intervals:
    """How often portfolios are read: more often from 9 to 17 UTC, every day."""

    market_hours: timedelta = timedelta(minutes=5)
    off_hours: timedelta = timedelta(minutes=15)


def next_due(now: datetime, failures: int, intervals: Intervals) -> datetime:
    """The time from which a user is due again.

    Args:
        now: When his sync ended.
        failures: Failures in a row; each doubles the interval, up to 16 times it.
        intervals: How often.
    """
    in_market_hours = MARKET_OPENS <= now.astimezone(UTC).hour < MARKET_CLOSES
    interval = intervals.market_hours if in_market_hours else intervals.off_hours
    doublings: int = min(failures, _MOST_DOUBLINGS)
    return now + interval * (1 << doublings)
