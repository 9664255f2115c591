"""Syncs of one user that overlap: the one that started last stands, and nothing is doubled or lost."""

import random
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine

from moonx_pipeline.clock import utc_now
from moonx_pipeline.domain.reasons import INTERNAL_ERROR
from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.tokens import TOKENS
from moonx_pipeline.simulator.world import PLAIN_WALLET, THREE_WALLETS
from moonx_pipeline.storage.connection.engine import open_engine
from moonx_pipeline.storage.monitoring.invariants import check_invariants
from moonx_pipeline.storage.portfolios.users import add_wallets
from moonx_pipeline.sync.open import open_requested
from moonx_pipeline.sync.pipeline import SyncPipeline
from moonx_pipeline.sync.runtime import Runtime, open_runtime
from moonx_pipeline.sync.spec import OpenSync, SyncSpec
from moonx_pipeline.sync.store import fail_sync, store_syncs
from moonx_pipeline.sync.value import ValuedSync
from moonx_pipeline_tests.support.syncs import event_types, events, held, operation, portfolio, register, status, sync

USDC = next(t for t in TOKENS.values() if (t.chain_id, t.symbol) == (1, "USDC"))


def opened(runtime: Runtime, user_id: str = "ann") -> OpenSync:
    return open_requested(runtime, SyncSpec(uuid.uuid4(), user_id, "schedule"), utc_now())


def valued(runtime: Runtime, running: OpenSync) -> ValuedSync:
    pipeline = SyncPipeline(runtime)
    (read,) = pipeline.value(pipeline.start_fetch(running).result())
    return read


def stored(runtime: Runtime, *syncs: ValuedSync):
    return store_syncs(runtime, syncs, utc_now())


def test_a_sync_that_started_earlier_never_overwrites_one_that_started_later(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    early = valued(runtime, opened(runtime))
    simulator.simulation.world.set_balance(PLAIN_WALLET, USDC, 1)
    late = valued(runtime, opened(runtime))

    (late_outcome,) = stored(runtime, late)
    (early_outcome,) = stored(runtime, early)

    assert (late_outcome.status, early_outcome.status) == ("completed", "cancelled")
    assert held(engine)[1, USDC.address] == 1
    assert portfolio(engine).version == 1
    assert event_types(engine) == ["sync.started"] * 2 + ["sync.completed", "portfolio.updated", "sync.failed"]
    assert events(engine)[-1]["data"]["error"]["code"] == "superseded"
    assert status(engine).sync_status == "completed"


def test_storing_a_sync_twice_is_storing_it_once(engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", PLAIN_WALLET)
    once = valued(runtime, opened(runtime))

    (first,) = stored(runtime, once)
    (second,) = stored(runtime, once)

    assert (first.status, first.changed, second.status, second.changed) == ("completed", True, "completed", False)
    assert event_types(engine) == ["sync.started", "sync.completed", "portfolio.updated"]
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM user_token_holdings_history").scalar_one() == len(
            [p for p in portfolio(engine).positions if not p.is_spam]
        )


def test_what_a_later_sync_kept_is_what_an_earlier_one_stored_meanwhile(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime, trigger="schedule")
    simulator.simulation.world.set_balance(PLAIN_WALLET, USDC, 42)
    early = valued(runtime, opened(runtime))
    simulator.fault("partial_error", network="eth-mainnet")
    simulator.fault("outage", network="eth-mainnet", endpoint="eth_getBalance")
    late = valued(runtime, opened(runtime))  # keeps the balance of before, since Ethereum fails it

    stored(runtime, early)
    (outcome,) = stored(runtime, late)

    assert outcome.status == "partial"
    assert held(engine)[1, USDC.address] == 42


def test_wallets_that_change_under_a_sync_make_it_void(engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", PLAIN_WALLET)
    running = valued(runtime, opened(runtime))
    with engine.begin() as connection:
        add_wallets(connection, "ann", [THREE_WALLETS[0]])

    (outcome,) = stored(runtime, running)

    assert outcome.status == "cancelled"
    assert held(engine) == {}


def test_users_stored_together_have_each_their_own_outcome(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "bob", THREE_WALLETS[0])
    register(engine, "ann", PLAIN_WALLET)
    good = valued(runtime, opened(runtime, "bob"))
    simulator.fault("outage")
    bad = valued(runtime, opened(runtime, "ann"))

    outcomes = stored(runtime, good, bad)

    assert [(o.user_id, o.status) for o in outcomes] == [("bob", "completed"), ("ann", "failed")]
    assert event_types(engine, "bob")[-1] == "portfolio.updated"
    assert event_types(engine, "ann") == ["sync.started", "sync.failed"]


def test_a_failure_after_the_end_is_not_recorded(engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", PLAIN_WALLET)
    running = opened(runtime)
    stored(runtime, valued(runtime, running))

    assert fail_sync(runtime, running, INTERNAL_ERROR, "m", utc_now()) is None
    assert operation(engine).status == "completed"


def test_many_syncs_of_one_user_at_once_leave_one_consistent_portfolio(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    numbers = iter(range(1, 1000))
    lock = threading.Lock()

    def move_and_sync(_: int) -> None:
        with lock:
            simulator.simulation.world.set_balance(PLAIN_WALLET, USDC, next(numbers))
        sync(runtime, trigger="schedule")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(move_and_sync, range(40)))

    outcomes = events(engine)
    versions = [e["version"] for e in outcomes]
    updated = [e["version"] for e in outcomes if e["eventType"] == "portfolio.updated"]
    assert versions == sorted(versions)
    assert updated == list(range(1, len(updated) + 1))
    assert len({e["eventId"] for e in outcomes}) == len(outcomes)
    started = [e["data"]["syncOperationId"] for e in outcomes if e["eventType"] == "sync.started"]
    ended = [e["data"]["syncOperationId"] for e in outcomes if e["eventType"] in ("sync.completed", "sync.failed")]
    assert sorted(started) == sorted(ended)
    with engine.connect() as connection:
        last = connection.exec_driver_sql("SELECT max(fence) FROM sync_operations").scalar_one()
    assert status(engine).stored_fence == last
    assert portfolio(engine).totals.value_usd == portfolio(engine).total_value_usd


@pytest.mark.slow
def test_two_workers_at_the_same_user_five_hundred_times(
    engine: Engine, settings: Settings, simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    engines = [open_engine(engine.url.render_as_string(hide_password=False)) for _ in range(2)]
    workers = [open_runtime(settings, own) for own in engines]
    delays = random.Random(7)  # noqa: S311 - the same delays in every run

    def work(worker: Runtime, delay: float) -> None:
        time.sleep(delay)
        sync(worker, trigger="schedule")

    with ThreadPoolExecutor(2) as pool:
        for round_number in range(250):
            simulator.simulation.world.set_balance(PLAIN_WALLET, USDC, round_number)
            for done in [pool.submit(work, worker, delays.uniform(0, 0.02)) for worker in workers]:
                done.result()
            assert held(engine).get((1, USDC.address), 0) == round_number

    with engine.connect() as connection:
        last, ended = connection.exec_driver_sql(
            "SELECT max(fence), count(*) FILTER (WHERE status IN ('completed', 'cancelled')) FROM sync_operations"
        ).one()
    assert (status(engine).stored_fence, ended) == (last, 500)
    told = events(engine)
    assert [e["version"] for e in told] == sorted(e["version"] for e in told)
    updated = [e["version"] for e in told if e["eventType"] == "portfolio.updated"]
    assert updated == list(range(1, len(updated) + 1))
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        assert check_invariants(connection) == []
    for own in engines:
        own.dispose()
