"""Sweeps in bulk: what changed is read at a tenth of the cost, and the portfolio is the same as by full readings."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from moonx_pipeline.clock import utc_now
from moonx_pipeline.domain.chains import DEFAULT_CHAINS, NATIVE_TOKEN
from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.tokens import TOKENS
from moonx_pipeline.simulator.world import PLAIN_WALLET, POLYGON_WALLET, SPAM_WALLET
from moonx_pipeline.sync.runtime import Runtime, open_runtime
from moonx_pipeline.sync.sweep import SweepReport
from moonx_pipeline_tests.fixtures.simulator import FAST, UNLIMITED
from moonx_pipeline_tests.support.expected import expected
from moonx_pipeline_tests.support.sweeps import execute, make_due, sweep, wallet
from moonx_pipeline_tests.support.syncs import held, operation, portfolio, register, sync, violations

CHAINS = [chain.id for chain in DEFAULT_CHAINS]


@pytest.fixture
def swept(engine: Engine, runtime: Runtime, simulator: RunningSimulator) -> Runtime:
    """Two users whose balances a sweep has listed, and those who are the next sweeps' sample."""
    for number in range(1, 9):  # for fewer, lists cost less
        register(engine, f"sample{number}", f"0x{number:040x}")
    register(engine, "ann", PLAIN_WALLET)
    register(engine, "bob", POLYGON_WALLET)
    sweep(runtime)
    simulator.simulation.faults.requests.clear()
    return runtime


def again(runtime: Runtime, **order: Any) -> SweepReport:
    make_due(runtime.db.engine)
    return sweep(runtime, **order)


def chain_rows(engine: Engine, user_id: str) -> list[Any]:
    with engine.connect() as connection:
        return list(
            connection.exec_driver_sql(
                "SELECT chain_id, way, source, block, known_block, full_read_at FROM user_chain_status "
                "WHERE user_id = %s ORDER BY chain_id",
                (user_id,),
            )
        )


def alerts(engine: Engine) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT payload FROM outbox_events WHERE type = 'system.alert' ORDER BY seq")
        return [row["data"] for row in rows.scalars()]


def crowd(engine: Engine, runtime: Runtime, count: int) -> None:
    for number in range(count):
        register(engine, f"user{number:03}", wallet(number))
    sweep(runtime)


def test_an_unchanged_batch_costs_two_calls_a_chain_and_changes_nothing(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    crowd(engine, runtime, 40)
    before = portfolio(engine, "user007")
    simulator.simulation.faults.requests.clear()

    report = again(runtime)

    assert (report.users, report.changed, report.rows) == (40, 0, 0)
    assert simulator.requests("alchemy eth_call") == len(CHAINS)
    assert simulator.requests("alchemy eth_getLogs") == len(CHAINS)
    assert simulator.requests("alchemy balances") == 1  # three wallets, to compare
    assert report.compute_units == len(CHAINS) * (26 + 60) + 200
    assert portfolio(engine, "user007").positions == before.positions
    assert alerts(engine) == []
    ways = [row.way for number in range(40) for row in chain_rows(engine, f"user{number:03}")]
    assert (ways.count("data_api"), ways.count("bulk")) == (3 * len(CHAINS), 37 * len(CHAINS))
    assert violations(engine) == []


def test_what_moved_and_what_is_new_is_stored_as_of_the_block_that_is_named(
    engine: Engine, swept: Runtime, simulator: RunningSimulator
) -> None:
    world = simulator.simulation.world
    listed = chain_rows(engine, "ann")
    new = world.add_token("FRESH", chain_id=8453, price="2")
    world.set_balance(PLAIN_WALLET, new, 5 * 10**18)
    world.set_balance(PLAIN_WALLET, TOKENS[1, NATIVE_TOKEN], 7)
    gone = world.named("USDC", 137)
    world.set_balance(PLAIN_WALLET, gone, 0)

    report = again(swept)

    assert report.changed == 1
    found = held(engine, "ann")
    assert found[8453, new.address] == 5 * 10**18
    assert found[1, NATIVE_TOKEN] == 7
    assert (137, gone.address) not in found
    position = next(p for p in portfolio(engine, "ann").positions if p.token == new.address)
    assert (position.symbol, position.value_usd) == ("FRESH", 10)
    rows = {row.chain_id: row for row in chain_rows(engine, "ann")}
    assert all(row.block == row.known_block == world.blocks[row.chain_id] for row in rows.values())
    assert {row.way for row in rows.values()} == {"bulk"}
    assert {chain["way"] for chain in operation(engine, "ann").chains} == {"bulk"}
    assert [row.full_read_at for row in listed] == [row.full_read_at for row in rows.values()]
    assert alerts(engine) == []


def test_tokens_are_listed_anew_when_it_is_time(engine: Engine, swept: Runtime, simulator: RunningSimulator) -> None:
    again(swept)
    assert {row.way for row in chain_rows(engine, "bob")} == {"bulk"}
    later = utc_now() + timedelta(hours=6)
    make_due(engine, later)
    execute(engine, "UPDATE user_sync_status SET last_active_at = %s", later)

    sweep(swept, at=later)

    for user in ("ann", "bob"):
        assert {row.way for row in chain_rows(engine, user)} == {"data_api"}
        assert all(row.full_read_at == later for row in chain_rows(engine, user))


@pytest.mark.parametrize(
    ("endpoint", "kind"), [("eth_getLogs", "outage"), ("eth_call", "outage"), ("eth_call", "null_answer")]
)
def test_whatever_fails_in_bulk_is_read_in_full_and_nothing_is_lost(
    engine: Engine, swept: Runtime, simulator: RunningSimulator, endpoint: str, kind: str
) -> None:
    before = {user: held(engine, user) for user in ("ann", "bob")}
    simulator.fault(kind, endpoint=endpoint)

    report = again(swept)

    assert dict(report.statuses) == {"completed": 10}
    assert {user: held(engine, user) for user in ("ann", "bob")} == before
    assert {row.way for user in before for row in chain_rows(engine, user)} == {"data_api"}


def test_a_token_without_a_log_is_found_by_the_next_full_reading_which_says_so(
    engine: Engine, swept: Runtime, simulator: RunningSimulator
) -> None:
    world = simulator.simulation.world
    silent = world.add_token("SILENT", chain_id=1, price="1")
    world.set_balance(PLAIN_WALLET, silent, 3 * 10**18, logged=False)
    execute(engine, "UPDATE user_chain_status SET full_read_at = now() - interval '1 day'")

    again(swept)

    assert held(engine, "ann")[1, silent.address] == 3 * 10**18
    (alert,) = alerts(engine)
    assert alert["alertType"] == "balances_differ"
    assert alert["service"] == "alchemy:1"
    assert silent.address in alert["message"]
    assert "did not ask for it" in alert["message"]
    assert f"said {3 * 10**18}" in alert["message"]


def test_a_balance_that_the_list_has_wrong_is_an_alert_with_both_values(
    engine: Engine, swept: Runtime, simulator: RunningSimulator
) -> None:
    usdc = simulator.simulation.world.named("USDC", 1)
    right = held(engine, "ann")[1, usdc.address]
    simulator.simulation.world.set_row(PLAIN_WALLET, usdc, tokenBalance=hex(right + 1))
    execute(engine, "UPDATE user_chain_status SET full_read_at = now() - interval '1 day'")

    again(swept)

    (alert,) = alerts(engine)
    assert f"said {right}" in alert["message"]
    assert f"said {right + 1}" in alert["message"]


def test_a_gap_that_the_logs_do_not_reach_over_is_closed_by_a_full_reading(
    engine: Engine, swept: Runtime, simulator: RunningSimulator
) -> None:
    for chain_id in CHAINS:
        simulator.simulation.world.blocks[chain_id] += 2_000_000

    again(swept)

    for user in ("ann", "bob"):
        rows = chain_rows(engine, user)
        assert {row.way for row in rows} == {"data_api"}
        assert all(row.known_block == simulator.simulation.world.blocks[row.chain_id] for row in rows)


def test_a_node_that_is_far_behind_is_not_believed(engine: Engine, swept: Runtime, simulator: RunningSimulator) -> None:
    again(swept)
    assert {row.way for row in chain_rows(engine, "ann")} == {"bulk"}
    for chain_id in CHAINS:
        simulator.simulation.world.blocks[chain_id] -= 5_000

    again(swept)

    # Lists of the same old blocks are not believed either; the last way names no block.
    assert {row.way for user in ("ann", "bob") for row in chain_rows(engine, user)} == {"json_rpc"}


def test_a_chain_that_was_not_read_is_listed_and_not_read_in_bulk(
    engine: Engine, swept: Runtime, simulator: RunningSimulator
) -> None:
    simulator.fault("outage", network="base-mainnet")
    again(swept)
    simulator.simulation.faults.clear()
    execute(engine, "DELETE FROM circuit_breakers")
    again(swept)

    for user in ("ann", "bob"):
        ways = {row.chain_id: row.way for row in chain_rows(engine, user)}
        assert (ways[8453], ways[1]) == ("data_api", "bulk")
        assert held(engine, user) == expected(PLAIN_WALLET if user == "ann" else POLYGON_WALLET)


def test_without_the_bulk_ways_every_sweep_lists_all_tokens(engine: Engine, simulator: RunningSimulator) -> None:
    ways = {"BALANCE_SOURCES": "alchemy-data,alchemy-rpc,node"}
    settings = Settings.from_environment({**simulator.environment(), **FAST, **UNLIMITED, **ways})
    runtime = open_runtime(settings, engine)
    register(engine, "ann", PLAIN_WALLET)
    sweep(runtime)
    again(runtime)

    assert simulator.requests("alchemy eth_call") == 0
    assert {row.way for row in chain_rows(engine, "ann")} == {"data_api"}


def test_a_click_between_two_sweeps_reads_in_full_and_bulk_goes_on_from_it(
    engine: Engine, swept: Runtime, simulator: RunningSimulator
) -> None:
    again(swept)
    assert not sync(swept, "ann").changed
    assert {row.way for row in chain_rows(engine, "ann")} == {"data_api"}

    assert again(swept).changed == 0

    assert {row.way for row in chain_rows(engine, "ann")} == {"bulk"}


def test_thousands_of_tokens_are_read_in_bulk_once_their_list_was_read_to_its_end(
    engine: Engine, swept: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "dan", SPAM_WALLET)
    for _ in range(2):  # the first list tells no block, the second is read after a bulk reading of others
        again(swept)
    listed = held(engine, "dan")
    assert len(listed) > 2900
    simulator.simulation.faults.requests.clear()

    again(swept)

    assert {row.way for row in chain_rows(engine, "dan")} == {"bulk"}
    assert held(engine, "dan") == listed
    assert simulator.requests("alchemy alchemy_getTokenBalances") == 0


def test_users_who_share_a_wallet_are_both_read_in_bulk(
    engine: Engine, swept: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "cyd", PLAIN_WALLET)
    again(swept)
    world = simulator.simulation.world
    world.set_balance(PLAIN_WALLET, TOKENS[1, NATIVE_TOKEN], 7)

    again(swept)

    for user in ("ann", "cyd"):
        assert {row.way for row in chain_rows(engine, user)} == {"bulk"}
        assert held(engine, user)[1, NATIVE_TOKEN] == 7


def test_a_few_wallets_are_listed_since_that_costs_less(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    crowd(engine, runtime, 3)
    simulator.simulation.faults.requests.clear()

    report = again(runtime)

    assert simulator.requests("alchemy eth_getLogs") == 0
    assert report.compute_units == 200
    assert {row.way for row in chain_rows(engine, "user000")} == {"data_api"}
