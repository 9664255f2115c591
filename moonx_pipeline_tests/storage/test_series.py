"""A portfolio's total over time, against a model of the rule in Python."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count, pairwise
from typing import NamedTuple
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from moonx_pipeline.domain.flags import BLOCKING_FLAGS, OLD_PRICE
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import SPAM_WALLET
from moonx_pipeline.storage.portfolios.holdings import snapshot_holdings, write_holdings
from moonx_pipeline.storage.portfolios.series import Reading, Series, bucket_of, read_series
from moonx_pipeline.storage.portfolios.users import AddedWallet
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline.views.history import history_json
from moonx_pipeline_tests.support.rows import position
from moonx_pipeline_tests.support.syncs import operation, portfolio, register, sync

NOW = datetime(2026, 3, 15, 10, 20, 30, tzinfo=UTC)
OMITTED = {"unpriced": 1, "spam": 2, "flagged": 0, "staleChains": [137]}
NOT_KEPT = {"lowLiquidity": None, "unread": None}  # by the version before
_numbers = count(1)


class Stored(NamedTuple):
    """What is left of a sync: its operation, or its snapshot, or both."""

    at: datetime
    total: int
    status: str = "completed"
    is_kept: bool = True
    has_snapshot: bool = False


def series(engine: Engine, user_id: str = "ann", days: int = 1, now: datetime = NOW) -> Series:
    with engine.connect() as connection:
        return read_series(connection, user_id, days=days, now=now)


def store(engine: Engine, user_id: str, syncs: list[Stored]) -> None:
    ids = [uuid4() for _ in syncs]
    operations = [
        (id_, user_id, s.status, s.at - timedelta(seconds=2), s.at, s.total, json.dumps(OMITTED))
        for id_, s in zip(ids, syncs, strict=True)
        if s.is_kept
    ]
    snapshots = [(user_id, s.total, id_, s.at) for id_, s in zip(ids, syncs, strict=True) if s.has_snapshot]
    with engine.begin() as connection:
        for row in operations:
            connection.exec_driver_sql(
                "INSERT INTO sync_operations (id, user_id, status, trigger, started_at, completed_at, "
                "total_value_usd, omitted) VALUES (%s, %s, %s, 'schedule', %s, %s, %s, %s)",
                row,
            )
        for row in snapshots:
            connection.exec_driver_sql(
                "INSERT INTO user_token_holdings_history (user_id, wallet_address, chain_id, token_address, balance, "
                "value_usd, snapshot_type, sync_operation_id, created_at) VALUES (%s, '0x', 1, '0x', 1, %s, 'sync', "
                "%s, %s)",
                row,
            )


def model(syncs: list[Stored], days: int) -> tuple[Reading | None, list[Reading]]:
    """The last reading before the range, and the last of each bucket of it; what is kept of syncs comes first."""
    bucket, since = bucket_of(days), NOW - timedelta(days=days)
    buckets: dict[object, tuple[tuple[bool, datetime], Reading]] = {}
    for s in syncs:
        is_reading = s.is_kept and s.status in ("completed", "partial")
        if not is_reading and not s.has_snapshot:
            continue
        key = "before" if s.at < since else int(s.at.timestamp() // bucket.total_seconds())
        reading = Reading(s.at, Decimal(s.total), OMITTED if is_reading else None)
        if key not in buckets or buckets[key][0] < (is_reading, s.at):
            buckets[key] = ((is_reading, s.at), reading)
    before = buckets.pop("before", None)
    return before and before[1], [buckets[key][1] for key in sorted(buckets)]


@st.composite
def pasts(draw: st.DrawFn) -> tuple[list[Stored], int]:
    """Syncs at different times, of which those before some time left only snapshots; and a range of days."""
    days = draw(st.sampled_from([1, 2, 7, 8, 30, 31, 90, 366]))
    bucket = bucket_of(days).total_seconds()
    edges = st.sampled_from([0, bucket, 2 * bucket, days * 86400, (NOW.timestamp() % bucket)])
    near_edges = st.builds(lambda edge, off: max(1, int(edge) + off), edges, st.integers(-400, 400))
    ages = st.one_of(near_edges, st.integers(1, 400 * 86400), st.integers(1, int(3 * bucket)))
    kept_for = draw(st.sampled_from([0, 3600, 86400, 90 * 86400, 400 * 86400]))
    syncs = []
    for age in draw(st.lists(ages, unique=True, max_size=40)):
        status = draw(st.sampled_from(["completed", "completed", "partial", "failed", "cancelled"]))
        is_kept = age < kept_for
        snapshot = status in ("completed", "partial") and (not is_kept or draw(st.booleans()))
        syncs.append(Stored(NOW - timedelta(seconds=age), age, status, is_kept, snapshot))
    return syncs, days


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(past=pasts())
def test_each_bucket_has_its_last_reading(engine: Engine, past) -> None:
    user, (syncs, days) = f"user{next(_numbers)}", past
    store(engine, user, syncs)

    found = series(engine, user, days)

    assert (found.before, found.readings) == model(syncs, days)


@pytest.mark.parametrize(
    ("days", "minutes", "gap"),
    [(1, 15, 45), (2, 60, 120), (7, 60, 120), (8, 360, 720), (30, 360, 720), (31, 1440, 2880), (366, 1440, 2880)],
)
def test_buckets_grow_with_the_range_and_a_gap_is_longer_than_their_spacing(
    engine: Engine, days: int, minutes: int, gap: int
) -> None:
    found = series(engine, days=days)

    assert (found.bucket, found.gap) == (timedelta(minutes=minutes), timedelta(minutes=gap))
    assert timedelta(days=days) / found.bucket <= 366


def test_one_user_sees_his_own_only(engine: Engine) -> None:
    store(engine, "bob", [Stored(NOW - timedelta(hours=1), 5), Stored(NOW - timedelta(hours=30), 6, has_snapshot=True)])

    assert series(engine) == Series(1, timedelta(minutes=15), timedelta(minutes=45), None, [])


def test_a_snapshot_is_summed_up_as_the_total_was(engine: Engine) -> None:
    register(engine, "ann", SPAM_WALLET)
    positions = [
        position(1, wallet=SPAM_WALLET),
        position(2, wallet=SPAM_WALLET, price="2")._replace(flags=(OLD_PRICE,)),
        position(3, wallet=SPAM_WALLET, price=None),
        position(4, wallet=SPAM_WALLET, price="900", spam=("link_in_name",)),
        *(
            position(10 + n, wallet=SPAM_WALLET, price="900")._replace(flags=(flag,))
            for n, flag in enumerate(sorted(BLOCKING_FLAGS))
        ),
    ]
    with engine.begin() as connection:
        write_holdings(connection, {"ann": positions})
        snapshot_holdings(connection, [("ann", uuid4(), "sync")], NOW - timedelta(hours=1))

    (reading,) = series(engine).readings

    assert reading == Reading(NOW - timedelta(hours=1), Decimal("8.75"), None)


def test_of_two_snapshots_of_one_moment_one_is_summed_up(engine: Engine) -> None:
    store(
        engine, "ann", [Stored(NOW - timedelta(hours=1), total, is_kept=False, has_snapshot=True) for total in (3, 4)]
    )

    (reading,) = series(engine).readings

    assert reading.total_value_usd in (3, 4)


@pytest.mark.slow
def test_a_sync_keeps_what_its_total_left_out_and_so_do_its_snapshots_total(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", SPAM_WALLET)
    sync(runtime)
    simulator.fault("partial_error", network="polygon-mainnet")
    simulator.fault("outage", network="polygon-mainnet", endpoint="eth_getBalance")
    sync(runtime)
    stored, row = portfolio(engine), operation(engine)

    assert row.omitted == stored.totals.omitted
    assert (row.omitted["staleChains"], row.omitted["spam"] > 0) == ([137], True)
    now = row.completed_at + timedelta(minutes=1)
    (point,) = history_json(series(engine, now=now, days=30))["points"]
    assert point["omitted"] == row.omitted
    assert Decimal(point["totalValueUsd"]) == stored.total_value_usd
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM sync_operations")
    (point,) = history_json(series(engine, now=now, days=30))["points"]
    assert (Decimal(point["totalValueUsd"]), point["omitted"]) == (stored.total_value_usd, None)


def ago(**time: int) -> datetime:
    return NOW - timedelta(**time)


def test_a_total_goes_on_as_long_as_syncs_found_it_unchanged(engine: Engine) -> None:
    store(engine, "ann", [Stored(ago(hours=5), 10), Stored(ago(hours=2), 30, "cancelled"), Stored(ago(hours=1), 20)])
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE sync_operations SET previous_sync_at = %s WHERE total_value_usd = 20", (ago(hours=3),)
        )
        connection.exec_driver_sql(
            "INSERT INTO user_sync_status (user_id, last_sync_at) VALUES ('ann', %s)", (ago(minutes=10),)
        )

    made = series(engine)

    spans = {total: [reading.at for reading in made.readings if reading.total_value_usd == total] for total in (10, 20)}
    assert (min(spans[10]), max(spans[10])) == (ago(hours=5), ago(hours=3))
    assert (min(spans[20]), max(spans[20])) == (ago(hours=1), ago(minutes=10))
    assert len(spans[10]) + len(spans[20]) == len(made.readings) == 9 + 4
    assert {reading.omitted["unpriced"] for reading in made.readings if reading.omitted} == {1}
    gaps = [after.at - before.at for before, after in pairwise(made.readings)]
    assert [gap for gap in gaps if gap > made.gap] == [timedelta(hours=2)]


def test_a_total_from_before_the_range_goes_on_into_it(engine: Engine) -> None:
    store(engine, "ann", [Stored(ago(days=2), 10)])
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO user_sync_status (user_id, last_sync_at) VALUES ('ann', %s)", (NOW,))

    made = series(engine)

    assert (made.before, {reading.total_value_usd for reading in made.readings}) == (
        Reading(ago(days=1) - timedelta(microseconds=1), Decimal(10), OMITTED),
        {10},
    )
    assert made.readings[-1].at == NOW


@pytest.mark.parametrize("status", ["failed", "completed"])
def test_a_total_ends_where_a_later_sync_does_not_say_that_it_stood(engine: Engine, status: str) -> None:
    store(engine, "ann", [Stored(ago(hours=5), 10), Stored(ago(hours=1), 20, status)])
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO user_sync_status (user_id, last_sync_at) VALUES ('ann', %s)", (ago(hours=1),)
        )

    assert ago(hours=5) in [reading.at for reading in series(engine).readings]
    assert len(series(engine).readings) == (1 if status == "failed" else 2)


def test_a_sync_that_failed_left_nothing_out(engine: Engine, runtime: Runtime, simulator: RunningSimulator) -> None:
    register(engine, "ann", SPAM_WALLET)
    simulator.fault("outage")
    sync(runtime)

    assert operation(engine).omitted is None


def test_as_json_times_and_decimals_are_text() -> None:
    reading = Reading(NOW, Decimal("12.50"), OMITTED)
    before = Reading(NOW - timedelta(days=2), Decimal("1E+2"), None)

    series = Series(1, timedelta(minutes=15), timedelta(minutes=45), before, [reading])

    assert history_json(series, [AddedWallet("0x" + "a" * 40, NOW)]) == {
        "days": 1,
        "bucketSeconds": 900,
        "gapSeconds": 2700,
        "before": {"at": "2026-03-13T10:20:30.000Z", "totalValueUsd": "100", "omitted": None},
        "points": [{"at": "2026-03-15T10:20:30.000Z", "totalValueUsd": "12.5", "omitted": {**NOT_KEPT, **OMITTED}}],
        "walletsAdded": [{"walletAddress": "0x" + "a" * 40, "at": "2026-03-15T10:20:30.000Z"}],
    }
