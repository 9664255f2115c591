"""The current time; the one place that reads the clock.

Many processes write the times of the same rows, so one clock decides: the database's. A process whose own clock is
right to a second uses that; another goes on from what the database said (``storage.connection.shared_clock``).
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

CLOSE_ENOUGH: Final = timedelta(seconds=1)


class _Anchor(NamedTuple):
    """What the time was at a value of ``time.monotonic()``, which no change of the host's clock moves."""

    at: datetime
    monotonic: float


_anchor: _Anchor | None = None


def system_now() -> datetime:
    """Now by this host's clock."""
    return datetime.now(UTC)


def utc_now() -> datetime:
    """Now, in UTC, with its time zone; by the clock that all processes share."""
    anchor = _anchor
    if anchor is None:
        return system_now()
    return anchor.at + timedelta(seconds=time.monotonic() - anchor.monotonic)


def set_shared(now: datetime, *, uncertainty: timedelta) -> timedelta:
    """Notes what the shared clock says.

    Args:
        now: Its time at this moment.
        uncertainty: How old that may be.

    Returns:
        How far this host's clock is ahead; zero if it is right enough to be used.
    """
    global _anchor
    ahead = system_now() - now
    if abs(ahead) <= CLOSE_ENOUGH + uncertainty:
        _anchor = None
        return timedelta(0)
    _anchor = _Anchor(now, time.monotonic())
    return ahead
