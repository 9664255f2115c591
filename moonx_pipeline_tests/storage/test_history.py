"""History as it is thinned and dropped, against a model of the rule in Python."""

import itertools
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from moonx_pipeline.storage.upkeep.history import (
    KEPT_HOURLY,
    KEPT_WHOLE,
    delete_stray_history,
    drop_history,
    ensure_history,
    first_kept_month,
    thin_history,
)
from moonx_pipeline_tests.support.rows import token

NOW = datetime(2026, 3, 15, 10, 20, tzinfo=UTC)
OLDEST = date(2026, 2, 1)
INSTANT = timedelta(microseconds=1)


class Snapshot(NamedTuple):
    user: str
    at: datetime
    operation: uuid.UUID
    rows: int


def store(engine: Engine, snapshots: Iterable[Snapshot]) -> None:
    rows = [(s.user, token(n), s.operation, s.at) for s in snapshots for n in range(s.rows)]
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO user_token_holdings_history (user_id, wallet_address, chain_id, token_address, balance, "
            "snapshot_type, sync_operation_id, created_at) SELECT u, '0x', 1, t, 1, 'sync', o, a "
            "FROM unnest(%s::text[], %s::text[], %s::uuid[], %s::timestamptz[]) AS x(u, t, o, a)",
            tuple(list(column) for column in zip(*rows, strict=True)) or ([], [], [], []),
        )


def stored(engine: Engine) -> set[Snapshot]:
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT user_id, created_at, sync_operation_id, count(*) FROM user_token_holdings_history GROUP BY 1, 2, 3"
        )
        return {Snapshot(*row) for row in rows}


def times(engine: Engine) -> dict[datetime, int]:
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT created_at, count(*) FROM user_token_holdings_history GROUP BY 1")
        return dict(rows.all())


def thin(engine: Engine, now: datetime, oldest: date = OLDEST) -> list[int]:
    return list(thin_history(engine, hourly_before=now - KEPT_WHOLE, daily_before=now - KEPT_HOURLY, oldest=oldest))


def model(snapshots: Iterable[Snapshot], now: datetime) -> set[Snapshot]:
    """What is left: a snapshot goes once its hour, or day, is over for long enough and has a later one of its user."""
    hours_over = (now - timedelta(days=2)).replace(minute=0, second=0, microsecond=0)
    days_over = (now - timedelta(days=30)).replace(hour=0, minute=0, second=0, microsecond=0)
    last: dict[tuple[str, datetime], Snapshot] = {}
    left = set()
    for snapshot in snapshots:
        if snapshot.at >= hours_over:
            left.add(snapshot)
            continue
        window = snapshot.at.replace(minute=0, second=0, microsecond=0)
        if snapshot.at < days_over:
            window = window.replace(hour=0)
        key = (snapshot.user, window)
        last[key] = max(last.get(key, snapshot), snapshot, key=lambda s: (s.at, s.operation))
    return left | set(last.values())


def empty(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("TRUNCATE user_token_holdings_history, history_thinning")


_EDGES = st.sampled_from(
    [
        *(NOW - timedelta(days=days) for days in (0, 1, 2, 3, 29, 30, 31, 40)),
        *(datetime(2026, 3, day, hour, tzinfo=UTC) for day in (12, 13, 14) for hour in (0, 10, 11)),
        *(datetime(2026, 2, day, hour, tzinfo=UTC) for day in (2, 12, 13, 14) for hour in (0, 1, 23)),
        datetime(2026, 3, 1, tzinfo=UTC),
    ]
)
_SHIFTS = st.sampled_from([timedelta(0), INSTANT, -INSTANT, timedelta(minutes=1), timedelta(minutes=-40)])
_ANY_TIME = st.builds(lambda age: NOW - age, st.timedeltas(timedelta(0), timedelta(days=41)))


def _around(edges: list[datetime]) -> st.SearchStrategy[list[Snapshot]]:
    """Snapshots close to a few edges, so that many of them share an hour or a day."""
    times = st.builds(lambda edge, shift: edge + shift, st.sampled_from(edges), _SHIFTS)
    snapshot = st.builds(
        Snapshot, st.sampled_from(["ann", "Éve"]), st.one_of(times, times, _ANY_TIME), st.uuids(), st.integers(1, 3)
    )
    return st.lists(snapshot, min_size=20, max_size=40, unique_by=lambda snapshot: snapshot.operation)


_SNAPSHOTS = st.lists(_EDGES, min_size=1, max_size=4).flatmap(_around)
_NIGHTS = st.lists(st.builds(lambda days: NOW - days, st.timedeltas(timedelta(0), timedelta(days=25))), max_size=3)


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(snapshots=_SNAPSHOTS, nights=_NIGHTS)
def test_any_nights_leave_what_the_rule_says_and_a_second_time_nothing_is_done(
    engine: Engine, snapshots: list[Snapshot], nights: list[datetime]
) -> None:
    empty(engine)
    ensure_history(
        engine, date(2026, 2, 1).replace(month=12, year=2026)
    )  # of other months than these: a stray one, too
    with engine.begin() as connection:
        connection.exec_driver_sql("SELECT ensure_history_partitions('2026-02-01', 1)")
    store(engine, snapshots)

    for night in nights:
        thin(engine, night)
    removed = sum(thin(engine, NOW))

    assert stored(engine) == model(snapshots, NOW)
    if not nights:
        assert removed == sum(s.rows for s in snapshots) - sum(s.rows for s in model(snapshots, NOW))
    assert thin(engine, NOW) == []


@pytest.mark.slow
def test_a_night_goes_on_where_the_last_one_stopped_and_reads_nothing_twice(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("SELECT ensure_history_partitions('2026-01-01', 3)")
        connection.exec_driver_sql(
            "INSERT INTO user_token_holdings_history (user_id, wallet_address, chain_id, token_address, balance, "
            "snapshot_type, sync_operation_id, created_at) SELECT 'user-' || u, '0x', 1, '0x', 1, 'sync', "
            "gen_random_uuid(), a FROM generate_series(1, 200) u, generate_series(%(now)s - interval '60 days', "
            "%(now)s, '1 hour') a",
            {"now": NOW},
        )
    # All users have the same ones.
    snapshots = [Snapshot("any", NOW - timedelta(hours=hours), uuid.uuid4(), 200) for hours in range(60 * 24 + 1)]
    tomorrow = NOW + timedelta(days=1)

    first = thin(engine, NOW, date(2026, 1, 1))
    left = times(engine)
    again = thin(engine, NOW, date(2026, 1, 1))
    second = thin(engine, tomorrow, date(2026, 1, 1))

    assert left == {snapshot.at: 200 for snapshot in model(snapshots, NOW)}
    assert sum(first) == 200 * (len(snapshots) - len(left)) == 200 * (13 + 29 * 23)
    assert again == []
    assert times(engine) == {snapshot.at: 200 for snapshot in model(snapshots, tomorrow)}
    # One day more, and the last hours of one and the first of another: of each two slices of a hundred users, and
    # a third that finds nobody more.
    assert [removed for removed in second if removed] == [2300, 2300]
    assert len(second) == 9


def test_work_that_stops_half_way_is_taken_up_again(engine: Engine) -> None:
    snapshots = [
        Snapshot("ann", NOW - timedelta(days=days, minutes=minutes), uuid.uuid4(), 2)
        for days in range(3, 40)
        for minutes in (0, 5)
    ]
    store(engine, snapshots)
    cut = {"hourly_before": NOW - KEPT_WHOLE, "daily_before": NOW - KEPT_HOURLY, "oldest": OLDEST}

    nights = [list(itertools.islice(thin_history(engine, **cut), 5)) for _ in range(9)]

    assert [len(night) for night in nights] == [5, 5, 5, 5, 5, 5, 5, 5, 1]
    assert sum(map(sum, nights)) == 37 * 2
    assert stored(engine) == model(snapshots, NOW)


@retry(retry=retry_if_result(lambda as_hoped: not as_hoped), wait=wait_fixed(0.02), stop=stop_after_delay(30))
def lock_is_waited_for(engine: Engine, hoped: bool) -> bool:
    with engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)").scalar_one()
    return found is hoped


def test_who_holds_a_lock_is_given_way_and_the_work_goes_on_after_it(engine: Engine) -> None:
    snapshots = [Snapshot("ann", NOW - timedelta(days=9, minutes=minutes), uuid.uuid4(), 1) for minutes in (0, 1)]
    store(engine, snapshots)

    with ThreadPoolExecutor() as pool:
        with engine.begin() as other:
            other.exec_driver_sql("SELECT 1 FROM user_token_holdings_history FOR UPDATE")
            work = pool.submit(thin, engine, NOW)
            lock_is_waited_for(engine, True)
            lock_is_waited_for(engine, False)
        removed = work.result()

    assert sum(removed) == 1
    assert stored(engine) == {snapshots[0]}


def test_months_that_are_too_old_are_dropped_whole_and_the_next_are_made(engine: Engine) -> None:
    now = datetime(2026, 3, 31, 3, 30, tzinfo=UTC)
    first = first_kept_month(now, 13)
    assert first == date(2025, 2, 1)
    with engine.begin() as connection:
        connection.exec_driver_sql("SELECT ensure_history_partitions('2024-11-01', 3)")
    kept = [
        Snapshot("ann", datetime(2025, 2, 1, tzinfo=UTC), uuid.uuid4(), 1),
        Snapshot("ann", datetime(2040, 1, 1, tzinfo=UTC), uuid.uuid4(), 1),
    ]
    of_months = [Snapshot("ann", datetime(2025, 1, 31, 23, 59, tzinfo=UTC), uuid.uuid4(), 3)]
    stray = [Snapshot("ann", datetime(2024, 10, 31, 23, 59, tzinfo=UTC), uuid.uuid4(), 2)]
    store(engine, [*kept, *of_months, *stray])

    dropped = drop_history(engine, first)
    deleted = sum(delete_stray_history(engine, first))
    made = ensure_history(engine, now.date())

    prefix = "user_token_holdings_history"
    assert dropped == [f"{prefix}_2024_11", f"{prefix}_2024_12", f"{prefix}_2025_01"]
    assert deleted == 2
    assert stored(engine) == set(kept)
    assert made > 0
    with engine.connect() as connection:
        tables = connection.exec_driver_sql(
            "SELECT to_regclass(%s), to_regclass(%s)", (f"{prefix}_2025_01", f"{prefix}_2026_05")
        ).one()
    assert tables == (None, f"{prefix}_2026_05")
    assert (drop_history(engine, first), list(delete_stray_history(engine, first))) == ([], [0])


@pytest.mark.parametrize(
    ("now", "months", "first"),
    [
        (datetime(2026, 1, 1, tzinfo=UTC), 1, date(2025, 12, 1)),
        (datetime(2026, 12, 31, tzinfo=UTC), 12, date(2025, 12, 1)),
        (datetime(2026, 2, 28, tzinfo=UTC), 13, date(2025, 1, 1)),
    ],
)
def test_the_oldest_month_kept_has_something_that_is_young_enough(now: datetime, months: int, first: date) -> None:
    assert first_kept_month(now, months) == first
