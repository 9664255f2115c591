"""When users are due."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from moonx_pipeline.domain.schedule import Intervals, due_until, next_due, sweep_seconds

INTERVALS = Intervals()
moments = st.integers(0, 5 * 525_600).map(lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes))


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 3, 2, hour, minute, tzinfo=UTC)


def test_market_hours_are_from_nine_to_seventeen_utc_whatever_the_zone() -> None:
    five, fifteen = timedelta(minutes=5), timedelta(minutes=15)

    assert [INTERVALS.at(at(*time)) for time in ((8, 59), (9, 0), (16, 59), (17, 0))] == [fifteen, five, five, fifteen]
    eastern = at(9).astimezone(ZoneInfo("America/New_York"))
    assert INTERVALS.at(eastern) == five


@given(moments, st.integers(0, 100))
def test_failures_double_the_interval_up_to_sixteen_times(now: datetime, failures: int) -> None:
    wait = next_due(now, failures, INTERVALS) - now

    assert wait == INTERVALS.at(now) * min(2**failures, 16)


@given(moments)
def test_a_sweep_is_over_before_the_next_and_takes_nobody_who_was_just_synced(now: datetime) -> None:
    assert timedelta(seconds=sweep_seconds(now, INTERVALS)) < INTERVALS.at(now)
    assert now < due_until(now, INTERVALS) < next_due(now, 0, INTERVALS)
