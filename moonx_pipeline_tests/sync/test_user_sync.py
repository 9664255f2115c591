"""A whole sync against the simulated providers and a real database."""

from datetime import timedelta
from decimal import Decimal

import jsonschema
import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from moonx_pipeline.clock import utc_now
from moonx_pipeline.domain.chains import DEFAULT_CHAINS, NATIVE_TOKEN
from moonx_pipeline.domain.money import total_of
from moonx_pipeline.domain.valuation import is_counted
from moonx_pipeline.events.schema import event_schemas
from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.tokens import HOSTILE, TOKENS
from moonx_pipeline.simulator.world import (
    EMPTY_WALLET,
    PLAIN_WALLET,
    POLYGON_WALLET,
    SPAM_WALLET,
    THREE_WALLETS,
)
from moonx_pipeline.storage.portfolios.holdings import HoldingsChange
from moonx_pipeline.sync.recovery import process_worker
from moonx_pipeline.sync.runtime import Runtime, open_runtime
from moonx_pipeline.sync.spec import SyncRefused
from moonx_pipeline_tests.fixtures.database import cut_connections
from moonx_pipeline_tests.support.expected import expected
from moonx_pipeline_tests.support.full_disk import fill_disk
from moonx_pipeline_tests.support.syncs import (
    age_prices,
    event_types,
    events,
    held,
    operation,
    portfolio,
    register,
    status,
    sync,
    violations,
)


def test_a_sync_stores_every_balance_of_every_chain_exactly(engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", PLAIN_WALLET)

    outcome = sync(runtime)

    assert (outcome.status, outcome.version) == ("completed", 1)
    assert held(engine) == expected(PLAIN_WALLET)
    stored = portfolio(engine)
    assert [chain.status for chain in stored.chains] == ["fresh"] * len(DEFAULT_CHAINS)
    assert (
        stored.total_value_usd
        == stored.totals.value_usd
        == total_of(p.value_usd for p in stored.positions if is_counted(p) and p.value_usd is not None)
    )
    ether = next(p for p in stored.positions if (p.chain_id, p.token) == (1, NATIVE_TOKEN))
    assert (ether.symbol, ether.amount, ether.price_usd, ether.value_usd) == (
        "ETH",
        Decimal("1.75"),
        Decimal("2500.10"),
        Decimal("4375.175"),
    )


def test_three_wallets_are_one_portfolio_read_with_few_calls(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", *THREE_WALLETS)
    sync(runtime)
    before = simulator.requests("alchemy")

    sync(runtime, trigger="schedule")

    assert {p.wallet for p in portfolio(engine).positions} == set(THREE_WALLETS)
    assert simulator.requests("alchemy") - before == 1


def test_an_empty_wallet_is_a_completed_sync_of_nothing(engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", EMPTY_WALLET)

    assert sync(runtime).status == "completed"

    stored = portfolio(engine)
    assert (stored.positions, stored.total_value_usd, stored.totals.complete) == ((), Decimal(0), True)


@pytest.mark.slow
def test_three_thousand_tokens_of_spam_are_kept_marked_and_out_of_the_total(engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", SPAM_WALLET)

    outcome = sync(runtime)
    for _ in range(6):  # each asks for the names of some hundreds
        sync(runtime, trigger="schedule")

    stored = portfolio(engine)
    assert outcome.rows.inserted == len(stored.positions) == len(expected(SPAM_WALLET)) == 3000
    real = {token.address for token in TOKENS.values()}
    fakes = [p for p in stored.positions if p.token not in real]
    # One kind in eight looks like nothing but a token that can hardly be sold.
    assert all(p.is_spam or p.not_counted_reason == "low_liquidity" for p in fakes)
    assert sum(p.is_spam for p in fakes) == len(fakes) * 7 // 8
    assert not any(p.is_spam for p in stored.positions if p.token in real)
    assert not any(is_counted(p) for p in stored.positions if p.token not in real)
    assert stored.total_value_usd is not None
    assert stored.total_value_usd < 400_000
    updated = [e for e in events(engine) if e["eventType"] == "portfolio.updated"][-1]
    assert len(updated["data"]["tokens"]) <= 100
    assert {token["tokenAddress"] for token in updated["data"]["tokens"]} <= real


def test_an_unchanged_portfolio_rewrites_no_row_and_tells_of_no_change(engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime)

    outcome = sync(runtime)

    assert (outcome.changed, outcome.rows, outcome.version) == (False, HoldingsChange(0, 0, 0), 1)
    assert event_types(engine) == [
        "sync.started",
        "sync.completed",
        "portfolio.updated",
        "sync.started",
        "sync.completed",
    ]


def test_a_moved_price_and_a_spent_token_change_just_those_rows(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime, trigger="schedule")
    world = simulator.simulation.world
    usdc = next(t for t in TOKENS.values() if (t.chain_id, t.symbol) == (1, "USDC"))
    world.set_balance(PLAIN_WALLET, usdc, 0)
    link = next(t for t in TOKENS.values() if (t.chain_id, t.symbol) == (1, "LINK"))
    world.set_balance(PLAIN_WALLET, link, 5)

    outcome = sync(runtime, trigger="schedule")

    assert outcome.rows == HoldingsChange(0, 1, 1)
    assert (1, usdc.address) not in held(engine)
    assert held(engine)[1, link.address] == 5
    assert outcome.version == 2


def test_a_chain_that_fails_keeps_its_last_known_holdings_marked_stale(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", POLYGON_WALLET)
    sync(runtime)
    before = portfolio(engine)
    simulator.fault("partial_error", network="polygon-mainnet")
    simulator.fault("outage", network="polygon-mainnet", endpoint="eth_getBalance")

    outcome = sync(runtime)

    after = portfolio(engine)
    assert outcome.status == operation(engine).status == "partial"
    assert held(engine) == expected(POLYGON_WALLET)
    assert {p.chain_id for p in after.positions if p.stale} == {137}
    assert after.total_value_usd == before.total_value_usd
    assert (after.totals.stale_chains, after.totals.complete) == ((137,), False)
    polygon = next(chain for chain in after.chains if chain.chain_id == 137)
    assert polygon.synced_at == next(chain for chain in before.chains if chain.chain_id == 137).synced_at
    completed = [e for e in events(engine) if e["eventType"] == "sync.completed"][-1]["data"]
    assert (completed["success"], completed["complete"], completed["chainsSync"]) == (True, False, 4)
    (failed,) = completed["failedChains"]
    assert failed["chainId"] == 137
    assert failed["staleSince"] is not None


def test_a_chain_is_fresh_again_as_soon_as_it_answers(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", POLYGON_WALLET)
    fault = simulator.fault("partial_error", network="polygon-mainnet")
    rpc_fault = simulator.fault("outage", network="polygon-mainnet", endpoint="eth_getBalance")
    assert sync(runtime).status == "partial"
    assert next(c for c in portfolio(engine).chains if c.chain_id == 137).status == "never"
    simulator.simulation.faults.clear(fault)
    simulator.simulation.faults.clear(rpc_fault)

    assert sync(runtime).status == "completed"

    assert held(engine) == expected(POLYGON_WALLET)
    assert portfolio(engine).totals.complete


def test_a_network_that_the_data_api_refuses_is_read_by_json_rpc(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", POLYGON_WALLET)
    simulator.fault("partial_error", network="polygon-mainnet")

    assert sync(runtime).status == "completed"

    assert held(engine) == expected(POLYGON_WALLET)
    assert simulator.requests("alchemy alchemy_getTokenBalances") == 1


def test_when_no_chain_answers_the_sync_fails_and_nothing_is_lost(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime)
    before = portfolio(engine)
    simulator.fault("outage")

    outcome = sync(runtime)

    after = portfolio(engine)
    assert outcome.status == operation(engine).status == "failed"
    assert held(engine) == expected(PLAIN_WALLET)
    assert after.total_value_usd == before.total_value_usd
    assert {chain.status for chain in after.chains} == {"stale"}
    assert (status(engine).consecutive_failures, status(engine).sync_status) == (1, "failed")
    assert after.as_of == before.as_of


def test_chains_that_all_become_stale_are_a_change_once_and_their_return_is_one(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime)
    simulator.fault("outage")

    assert sync(runtime).version == 2
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM circuit_breakers")
    assert sync(runtime).version == 2

    failed, told = [event for event in events(engine) if event["version"] == 2][:2]
    assert (failed["eventType"], told["eventType"]) == ("sync.failed", "portfolio.updated")
    jsonschema.validate(told, event_schemas()["portfolio.updated"], cls=jsonschema.Draft202012Validator)
    stored = portfolio(engine)
    assert told["data"]["omitted"]["staleChains"] == [chain.id for chain in DEFAULT_CHAINS]
    assert Decimal(str(told["data"]["totalValueUsd"])) == stored.totals.value_usd == stored.total_value_usd
    assert event_types(engine).count("portfolio.updated") == 2

    simulator.simulation.faults.clear()
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM circuit_breakers")
    assert (sync(runtime).version, portfolio(engine).totals.complete) == (3, True)
    assert violations(engine) == []


@pytest.mark.parametrize("fault", ["quota", "bad_key", "rate_limit", "malformed", "wrong_types", "reset", "truncate"])
def test_no_fault_of_the_provider_empties_a_portfolio(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, fault: str
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime)
    simulator.fault(fault)

    assert sync(runtime).status == "failed"

    assert held(engine) == expected(PLAIN_WALLET)
    assert "simulator" not in (operation(engine).error_message or "")  # the key


def test_a_list_without_an_end_is_a_failure_not_a_short_list(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", SPAM_WALLET)
    simulator.fault("endless_page_key")

    assert sync(runtime).status == "completed"  # by JSON-RPC, chain by chain

    assert held(engine) == expected(SPAM_WALLET)


def test_a_token_whose_balance_can_not_be_read_keeps_its_last_one(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime)
    link = next(token for chain_id, token in expected(PLAIN_WALLET) if chain_id == 1 and token != NATIVE_TOKEN)
    simulator.fault("0x_balance", params={"token": link})
    simulator.fault("outage", endpoint="eth_call")

    assert sync(runtime).status == "completed"

    assert held(engine) == expected(PLAIN_WALLET)
    stored = portfolio(engine)
    flagged = {(p.chain_id, p.token) for p in stored.positions if "balance_unknown" in p.flags}
    assert flagged == {(1, link)}
    assert (stored.totals.unread, stored.totals.complete) == (0, True)


def test_a_native_coin_whose_balance_came_with_no_number_is_read_by_the_next_way(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    simulator.fault("0x_balance")

    assert sync(runtime).status == "completed"

    assert held(engine) == expected(PLAIN_WALLET)
    assert portfolio(engine).totals.complete


def test_tokens_without_decimals_are_kept_without_a_value(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    simulator.fault("null_decimals")

    sync(runtime)

    unknown = [p for p in portfolio(engine).positions if p.decimals is None]
    assert unknown
    assert {(p.amount, p.value_usd) for p in unknown} == {(None, None)}
    assert held(engine) == expected(PLAIN_WALLET)


@pytest.mark.parametrize("provider", ["binance", "coingecko", "dexscreener"])
def test_a_price_source_that_is_down_never_fails_a_sync_nor_invents_a_price(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, provider: str
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    simulator.fault("outage", provider)

    assert sync(runtime).status == "completed"

    stored = portfolio(engine)
    real = simulator.simulation.world.prices
    for p in stored.positions:
        if p.price_usd is not None:
            assert abs(p.price_usd / real[p.symbol or ""] - 1) < Decimal("0.01")
    ether = next(p for p in stored.positions if (p.chain_id, p.token) == (1, NATIVE_TOKEN))
    assert ether.price_source == ("coingecko" if provider == "binance" else "binance")


def test_with_all_price_sources_down_the_last_price_stays_and_says_it_is_old(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime, trigger="schedule")
    before = portfolio(engine).total_value_usd
    for provider in ("binance", "coingecko", "defillama", "dexscreener"):
        simulator.fault("outage", provider)
    simulator.fault("outage", endpoint="prices/by-address")
    age_prices(engine, timedelta(minutes=10))

    sync(runtime)

    assert portfolio(engine).total_value_usd == before
    assert all("old_price" in p.flags for p in portfolio(engine).positions if p.price_usd is not None)
    age_prices(engine, timedelta(hours=2))
    sync(runtime)
    assert {p.price_usd for p in portfolio(engine).positions} == {None}
    assert portfolio(engine).totals.unpriced == len(expected(PLAIN_WALLET))


def test_a_hostile_name_is_stored_as_it_is_and_marked(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", EMPTY_WALLET)
    simulator.simulation.world.set_balance(EMPTY_WALLET, HOSTILE, 7)

    sync(runtime)

    (token,) = portfolio(engine).positions
    assert (token.symbol, token.name) == (HOSTILE.symbol, HOSTILE.name)
    assert token.is_spam


def test_the_same_operation_again_changes_nothing(engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", PLAIN_WALLET)
    first = sync(runtime)

    with pytest.raises(SyncRefused) as refusal:
        sync(runtime, operation_id=first.operation_id)

    assert refusal.value.code == "already_ended"
    assert len(event_types(engine)) == 3


def test_every_event_is_of_its_published_shape(engine: Engine, runtime: Runtime, simulator: RunningSimulator) -> None:
    register(engine, "ann", POLYGON_WALLET)
    sync(runtime)
    simulator.fault("partial_error", network="polygon-mainnet")
    simulator.fault("outage", network="polygon-mainnet", endpoint="eth_getBalance")
    sync(runtime)
    simulator.fault("quota")
    sync(runtime)

    schemas = event_schemas()
    seen = events(engine)
    for value in seen:
        jsonschema.validate(value, schemas[value["eventType"]], cls=jsonschema.Draft202012Validator)
    assert {value["eventType"] for value in seen} == {
        "sync.started",
        "sync.completed",
        "sync.failed",
        "portfolio.updated",
    }
    assert [value["version"] for value in seen] == sorted(value["version"] for value in seen)


def test_a_user_without_wallets_is_refused_and_leaves_nothing_behind(engine: Engine, runtime: Runtime) -> None:
    with pytest.raises(SyncRefused, match="moonx user add nobody ADDRESS"):
        sync(runtime, "nobody")

    with engine.connect() as connection:
        for table in ("sync_operations", "user_sync_status", "outbox_events"):
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() == 0


def test_a_sync_is_a_bounded_number_of_round_trips(engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", SPAM_WALLET)
    process_worker(runtime, utc_now())  # once a process, not once a sync
    statements = []
    event.listen(engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))

    sync(runtime)

    # Two transactions, each with a BEGIN and a COMMIT that the driver sends by itself; what each call to a
    # provider costs beside them is one, and so is what was read of each long list.
    limits = [statement for statement in statements if "take_permits" in statement]
    places = [statement for statement in statements if "resume_key, resume_since FROM" in statement]
    assert len(places) == len(DEFAULT_CHAINS)
    # Progress is announced beside the sync, in the providers' threads.
    announced = [statement for statement in statements if "pg_notify" in statement]
    assert len(announced) == len(DEFAULT_CHAINS)
    assert len(statements) - len(limits) - len(places) - len(announced) + 4 <= 17
    assert len(limits) == operation(engine).provider_calls


def test_an_api_that_hangs_costs_its_time_once_and_the_next_way_is_taken(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    simulator.fault("hang", endpoint="tokens/by-address")

    assert sync(runtime).status == "completed"

    assert held(engine) == expected(PLAIN_WALLET)
    assert simulator.requests("alchemy tokens/by-address") == 1


def test_a_chain_that_hangs_until_the_end_leaves_time_for_the_others_prices(
    engine: Engine, simulator: RunningSimulator
) -> None:
    environment = {**simulator.environment(), "WORKER_TIMEOUT": "5000", "ALCHEMY_TIMEOUT": "60000"}
    runtime = open_runtime(Settings.from_environment(environment), engine)
    register(engine, "ann", POLYGON_WALLET)
    simulator.fault("partial_error", network="polygon-mainnet")
    simulator.fault("hang", network="polygon-mainnet", endpoint="eth_getBalance")

    assert sync(runtime).status == "partial"

    assert all(p.price_usd is not None for p in portfolio(engine).positions)


def test_connections_that_died_in_the_pool_fail_no_sync(engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime)
    cut_connections(engine)

    assert sync(runtime).status == "completed"


def test_a_full_disk_is_the_reason_of_a_sync_that_could_not_be_stored(engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", PLAIN_WALLET)
    fill_disk(engine, "user_token_holdings")

    with pytest.raises(OperationalError):
        sync(runtime)

    ended = operation(engine)
    assert (ended.status, ended.error_code) == ("failed", "database_away")
    assert ended.error_message == (
        "The database could not be used: its disk is full: free space there, then what failed can be repeated."
    )
    assert violations(engine) == []
