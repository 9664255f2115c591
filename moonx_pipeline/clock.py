"""The current time; the one place that reads the clock."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Now, in UTC, with its time zone."""
    return datetime.now(UTC)
