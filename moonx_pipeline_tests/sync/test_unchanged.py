"""Syncs of sweeps that find nothing changed: they leave no row of their own, and say when they were."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import EMPTY_WALLET, PLAIN_WALLET, POLYGON_WALLET
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline_tests.support.sweeps import execute, make_due, sweep
from moonx_pipeline_tests.support.syncs import (
    age_prices,
    event_types,
    operation,
    portfolio,
    register,
    status,
    sync,
    violations,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
WALLETS = {"ann": PLAIN_WALLET, "bob": POLYGON_WALLET, "cyd": EMPTY_WALLET}


def count(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        return connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()


def sizes(engine: Engine) -> dict[str, int]:
    tables = ("sync_operations", "outbox_events", "user_token_holdings_history", "sync_evidence", "batch_evidence")
    return {table: count(engine, table) for table in tables}


@pytest.fixture
def swept(engine: Engine, runtime: Runtime) -> dict[str, int]:
    """Three users, swept at noon: the rows that this left."""
    for user_id, address in WALLETS.items():
        register(engine, user_id, address)
    make_due(engine, NOON)
    assert sweep(runtime, at=NOON).changed == 3
    return sizes(engine)


def again(engine: Engine, runtime: Runtime, at: datetime):
    make_due(engine, at)
    return sweep(runtime, at=at)


def test_an_unchanged_sweep_leaves_one_row_a_batch(engine: Engine, runtime: Runtime, swept: dict[str, int]) -> None:
    before = {user_id: portfolio(engine, user_id) for user_id in WALLETS}
    at = NOON + timedelta(minutes=5)

    report = again(engine, runtime, at)

    assert (dict(report.statuses), report.changed, report.rows) == ({"completed": 3}, 0, 0)
    assert sizes(engine) == swept
    for user_id, stored in before.items():
        mine, its = status(engine, user_id), portfolio(engine, user_id)
        assert (mine.last_sync_at, mine.sync_status, mine.stored_fence) == (at, "completed", 3)
        assert mine.next_sync_at == at + timedelta(minutes=5)
        assert {chain.synced_at for chain in its.chains} == {at}
        assert (its.version, its.positions, its.totals) == (stored.version, stored.positions, stored.totals)
    with engine.connect() as connection:
        row = connection.exec_driver_sql("SELECT * FROM unchanged_syncs").one()
    assert (row.completed_at, row.syncs, row.compute_units) == (at, 3, report.compute_units)
    assert violations(engine) == []


@pytest.mark.parametrize(
    ("condition", "minutes"),
    [
        ("UPDATE user_sync_status SET snapshot_at = snapshot_at - interval '1 day'", 5),
        ("UPDATE user_sync_status SET last_error_at = now()", 5),
        ("UPDATE user_sync_status SET consecutive_failures = 1", 5),
        ("SELECT 1", 46),
        ("UPDATE user_sync_status SET content_hash = '\\x01'", 5),
        ("UPDATE user_sync_status SET inputs_hash = NULL", 5),
        ("UPDATE user_chain_status SET status = 'stale' WHERE chain_id = 137", 5),
    ],
)
def test_what_is_to_be_seen_has_an_operation(
    engine: Engine, runtime: Runtime, swept: dict[str, int], condition: str, minutes: int
) -> None:
    execute(engine, condition)

    again(engine, runtime, NOON + timedelta(minutes=minutes))

    assert count(engine, "sync_operations") == swept["sync_operations"] + 3
    assert count(engine, "unchanged_syncs") == 0
    assert {event_types(engine, user_id)[3] for user_id in WALLETS} == {"sync.started"}
    assert violations(engine) == []


def test_a_moved_price_is_stored_after_unchanged_sweeps(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, swept: dict[str, int]
) -> None:
    again(engine, runtime, NOON + timedelta(minutes=5))
    age_prices(engine, timedelta(minutes=30))
    simulator.simulation.world.tick(7)

    report = again(engine, runtime, NOON + timedelta(minutes=10))

    assert (report.changed, status(engine, "ann").portfolio_version) == (2, 2)
    changed = operation(engine, "ann")
    assert (changed.status, changed.previous_sync_at) == ("completed", NOON + timedelta(minutes=5))
    assert event_types(engine, "ann")[3:] == ["sync.started", "sync.completed", "portfolio.updated"]
    assert event_types(engine, "cyd") == event_types(engine, "cyd")[:3]
    assert violations(engine) == []


def test_prices_read_again_and_equal_leave_nothing(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, swept: dict[str, int]
) -> None:
    age_prices(engine, timedelta(minutes=30))

    assert again(engine, runtime, NOON + timedelta(minutes=5)).changed == 0

    assert simulator.requests("binance") > 1
    assert sizes(engine) == swept


def test_a_sync_that_was_asked_for_has_an_operation(engine: Engine, runtime: Runtime, swept: dict[str, int]) -> None:
    sync(runtime, "cyd", at=NOON + timedelta(minutes=1))

    assert count(engine, "sync_operations") == swept["sync_operations"] + 1
    assert event_types(engine, "cyd")[3:] == ["sync.started", "sync.completed"]


def test_a_sync_that_takes_a_sweeps_place_is_not_confirmed(
    engine: Engine, runtime: Runtime, swept: dict[str, int]
) -> None:
    execute(engine, "UPDATE user_sync_status SET stored_fence = opened_fence + 1, opened_fence = opened_fence + 1")
    execute(
        engine,
        "CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE user_sync_status SET "
        "opened_fence = opened_fence + 5, stored_fence = opened_fence + 5 WHERE user_id = NEW.user_id; RETURN NULL; "
        "END $$; CREATE TRIGGER later AFTER INSERT ON sync_operations FOR EACH ROW EXECUTE FUNCTION later()",
    )

    report = again(engine, runtime, NOON + timedelta(minutes=5))

    assert dict(report.statuses) == {"cancelled": 3}
    assert status(engine, "ann").last_sync_at == NOON


def test_statistics_count_the_syncs_that_left_no_operation(
    engine: Engine, runtime: Runtime, swept: dict[str, int]
) -> None:
    again(engine, runtime, NOON + timedelta(minutes=5))

    with engine.connect() as connection:
        day = connection.exec_driver_sql("SELECT * FROM sync_statistics_daily").one()
    assert (day.total_syncs, day.completed_syncs, day.unique_users, day.failed_syncs) == (6, 6, 3, 0)
