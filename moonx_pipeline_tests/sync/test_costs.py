"""The cost that is planned for a month, held against what sweeps use."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from moonx_pipeline.domain.chains import DEFAULT_CHAINS
from moonx_pipeline.domain.schedule import Intervals
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import PLAIN_WALLET
from moonx_pipeline.sync.balances.costs import Fleet, PriceStep, by_lists, in_bulk, price_of
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline_tests.fixtures.dagster import eventually
from moonx_pipeline_tests.support.sweeps import make_due, sweep, wallet
from moonx_pipeline_tests.support.syncs import age_prices, portfolio, register

STEPS = (PriceStep(Decimal(30), Decimal(0)), PriceStep(Decimal(300), Decimal("0.45")), PriceStep(None, Decimal("0.4")))


def fleet(users: int) -> Fleet:
    hours = timedelta(hours=1)
    return Fleet(users, 1, 25, len(DEFAULT_CHAINS), Intervals(), 6 * hours, batch_size=50)


@pytest.mark.parametrize("users", [2, 12, 50])
def test_a_planned_sweep_costs_what_a_real_one_uses(
    users: int, engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    for number in range(users):
        register(engine, f"user{number:03}", wallet(number))

    sweep(runtime, batch_size=50)
    listed = simulator.requests("alchemy balances") * 200
    make_due(engine)
    second = sweep(runtime, batch_size=50)

    # A call of the data API takes three wallets; the last one of a batch may be for fewer.
    assert 0 <= listed - by_lists(fleet(users)).sweep.compute_units * users < 200
    planned = in_bulk(fleet(users)).sweep.compute_units * users
    assert abs(second.compute_units - planned) < (200 if users == 2 else 1)


OF_USERS = (
    "user_token_holdings",
    "user_chain_status",
    "user_sync_status",
    "sync_operations",
    "sync_evidence",
    "outbox",
)


def test_a_sync_that_finds_all_prices_changed_writes_the_rows_that_are_planned(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sweep(runtime)
    tokens = len(portfolio(engine).positions)
    simulator.simulation.world.tick(7)
    age_prices(engine, timedelta(minutes=6))
    make_due(engine)
    before = rows_written(engine)

    sweep(runtime)

    plan = Fleet(1, 1, tokens, len(DEFAULT_CHAINS), Intervals(), timedelta(hours=6), batch_size=50)

    def as_planned() -> None:
        assert rows_written(engine) - before == plan.rows_a_sync

    eventually(as_planned)


def rows_written(engine: Engine) -> int:
    """Rows of users that were inserted or updated so far; sessions tell it when they end."""
    engine.dispose()
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT relname, n_tup_ins + n_tup_upd FROM pg_stat_user_tables")
        return sum(count for table, count in rows if table.startswith(OF_USERS))


def test_a_month_has_its_sweeps_and_its_full_readings() -> None:
    many = fleet(1000)

    assert many.sweeps_a_day == 8 * 12 + 16 * 4
    lists, bulk = by_lists(many), in_bulk(many)
    assert lists.a_month.compute_units == lists.sweep.compute_units * 160 * 1000 * Decimal("30.4")
    full_readings = bulk.a_month.compute_units - bulk.sweep.compute_units * 160 * 1000 * Decimal("30.4")
    # Wallets come to be listed early by an eighth of the interval on average.
    expected = lists.sweep.compute_units * 1000 * Decimal("30.4") * 4 / Decimal("0.875")
    assert abs(full_readings / expected - 1) < Decimal("0.000001")
    assert bulk.units_a_second < lists.units_a_second / 5


@pytest.mark.parametrize(
    ("millions", "usd"), [(0, "0"), (30, "0"), (31, "0.45"), (300, "121.5"), (301, "121.9"), (1300, "521.5")]
)
def test_each_unit_costs_what_its_step_says(millions: int, usd: str) -> None:
    assert price_of(Decimal(millions) * 1_000_000, STEPS) == Decimal(usd)


@given(st.integers(0, 10**13), st.integers(0, 10**13))
def test_more_units_never_cost_less(some: int, more: int) -> None:
    assert price_of(Decimal(some), STEPS) <= price_of(Decimal(some + more), STEPS)
