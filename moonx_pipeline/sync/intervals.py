"""How often portfolios are read, from the settings."""

from __future__ import annotations

from datetime import timedelta

from moonx_pipeline.domain.schedule import Intervals
from moonx_pipeline.settings.worker import PeriodicSettings


def intervals_of(periodic: PeriodicSettings) -> Intervals:
    """The intervals of unattended syncs."""
    return Intervals(
        market_hours=timedelta(milliseconds=periodic.market_hours_ms),
        off_hours=timedelta(milliseconds=periodic.off_hours_ms),
        stale=timedelta(milliseconds=periodic.stale_ms),
        high_value_usd=periodic.high_value_usd,
    )
