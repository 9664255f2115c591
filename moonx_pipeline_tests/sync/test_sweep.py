"""Sweeps: who is taken and when, what becomes of him, and that nobody is synced twice at once."""

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from multiprocessing.process import BaseProcess

import pytest
from sqlalchemy import Engine

from moonx_pipeline.clock import utc_now
from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import EMPTY_WALLET, PLAIN_WALLET, POLYGON_WALLET, SPAM_WALLET
from moonx_pipeline.storage.connection.engine import open_engine
from moonx_pipeline.storage.requests.pause import pause, resume
from moonx_pipeline.sync.recovery import process_worker
from moonx_pipeline.sync.runtime import Runtime, open_runtime
from moonx_pipeline.sync.sweep import why_no_sweep
from moonx_pipeline_tests.fixtures.simulator import FAST, UNLIMITED
from moonx_pipeline_tests.support.expected import expected
from moonx_pipeline_tests.support.recovering import recover
from moonx_pipeline_tests.support.sweeps import execute, make_due, sweep, wait_for_running, wallet
from moonx_pipeline_tests.support.syncs import (
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

NIGHT = datetime(2026, 3, 2, tzinfo=UTC)
_fork = multiprocessing.get_context("fork")


def crowd(engine: Engine, count: int) -> list[str]:
    names = [f"user{number:03}" for number in range(count)]
    for number, name in enumerate(names):
        register(engine, name, wallet(number))
    return names


def url_of(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


def order_of_syncs(engine: Engine) -> list[str]:
    """Users by the version of the row that their operation was written with, so in the order of their claims."""
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT o.user_id FROM sync_operations o JOIN outbox_events e ON e.key = o.user_id "
            "WHERE e.type = 'sync.started' AND o.type = 'sweep' ORDER BY e.seq"
        )
        return list(rows.scalars())


def test_a_sweep_stores_and_tells_the_same_as_a_sync_of_each_user(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    wallets = {"ann": PLAIN_WALLET, "bob": POLYGON_WALLET, "cyd": EMPTY_WALLET, "dan": SPAM_WALLET}
    for user_id, address in wallets.items():
        register(engine, user_id, address)

    report = sweep(runtime)

    assert (dict(report.statuses), report.changed, report.ended) == ({"completed": 4}, 4, "Nobody else is due.")
    assert sorted(report.new_users) == sorted(wallets)
    for user_id, address in wallets.items():
        assert held(engine, user_id) == expected(address)
        assert event_types(engine, user_id) == ["sync.started", "sync.completed", "portfolio.updated"]
        assert events(engine, user_id)[0]["data"]["syncType"] == "scheduled"
        ended = operation(engine, user_id)
        assert (ended.type, ended.trigger, ended.priority, ended.status) == ("sweep", "schedule", "high", "completed")
    swept = {user_id: portfolio(engine, user_id) for user_id in wallets}
    for user_id in wallets:
        assert not sync(runtime, user_id, trigger="schedule").changed or user_id == "dan"
        again = portfolio(engine, user_id)
        if user_id != "dan":  # of his thousands of tokens some are named and priced by each sync
            assert (again.positions, again.totals) == (swept[user_id].positions, swept[user_id].totals)
    assert violations(engine) == []


def test_wallets_of_three_users_are_read_in_one_call_and_its_cost_is_shared(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    crowd(engine, 6)
    sweep(runtime)
    make_due(engine)
    execute(engine, "UPDATE user_chain_status SET full_read_at = NULL")
    simulator.simulation.faults.requests.clear()

    report = sweep(runtime)

    assert simulator.requests("alchemy balances") == 2
    assert (report.provider_calls, report.compute_units) == (2, 400)
    with engine.connect() as connection:
        took = connection.exec_driver_sql("SELECT sum(compute_units), sum(provider_calls) FROM unchanged_syncs").one()
    assert tuple(took) == (400, 2)
    assert (report.changed, report.rows) == (0, 0)


def test_the_stale_go_first_then_the_large_then_who_waits_longest(engine: Engine, runtime: Runtime) -> None:
    names = crowd(engine, 6)
    now = utc_now()
    facts = {
        # name: minutes since the last sync, minutes due, large
        names[0]: (10, 1, False),
        names[1]: (10, 5, False),
        names[2]: (10, 0, True),
        names[3]: (70, 2, False),
        names[4]: (70, 1, True),
        names[5]: (90, 9, False),
    }
    for name, (synced, due, is_large) in facts.items():
        execute(
            engine,
            "UPDATE user_sync_status SET last_sync_at = %s, next_sync_at = %s, is_high_value = %s WHERE user_id = %s",
            now - timedelta(minutes=synced),
            now - timedelta(minutes=due),
            is_large,
            name,
        )

    report = sweep(runtime, batch_size=1, batches_at_once=1)

    assert report.users == 6
    assert order_of_syncs(engine) == [names[n] for n in (4, 5, 3, 2, 1, 0)]
    assert [operation(engine, names[n]).priority for n in (5, 2)] == ["high", "medium"]


def test_who_is_large_is_found_when_he_is_synced(engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", PLAIN_WALLET)
    register(engine, "cyd", EMPTY_WALLET)
    sweep(runtime)

    assert status(engine, "ann").total_value_usd >= 10_000
    assert (status(engine, "ann").is_high_value, status(engine, "cyd").is_high_value) == (True, False)


def test_shards_are_disjoint_and_together_they_are_everybody(engine: Engine, runtime: Runtime) -> None:
    names = crowd(engine, 40)

    counts = [sweep(runtime, shard=shard, shards=3).users for shard in range(3)]

    assert (sum(counts), all(counts)) == (40, True)
    assert sorted(order_of_syncs(engine)) == names


def test_no_more_users_are_taken_than_allowed(engine: Engine, runtime: Runtime) -> None:
    crowd(engine, 10)

    report = sweep(runtime, max_users=7, batch_size=3)

    assert (report.users, "PERIODIC_SYNC_MAX_USERS" in report.ended) == (7, True)
    assert sweep(runtime).users == 3


class Day:
    """Sweeps at the ticks of the schedules, by a clock of the test's own."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.synced: dict[str, list[datetime]] = {}

    def pass_to(self, start: datetime, end: datetime) -> None:
        now = start
        while now < end:
            if 9 <= now.hour < 17 or now.minute % 15 == 0:
                before = self._read()
                sweep(self._runtime, at=now)
                for user_id in [user_id for user_id, at in self._read().items() if at != before.get(user_id)]:
                    self.synced.setdefault(user_id, []).append(now)
            now += timedelta(minutes=5)

    def _read(self) -> dict[str, datetime]:
        """When the wallets of each user were read last; a sync that finds nothing changed leaves no operation."""
        with self._runtime.db.engine.connect() as connection:
            rows = "SELECT user_id, max(last_attempt_at) FROM user_chain_status GROUP BY user_id"
            return dict(connection.exec_driver_sql(rows).all())


def gaps(moments: list[datetime]) -> set[int]:
    return {int((after - before).total_seconds() // 60) for before, after in pairwise(moments)}


@pytest.mark.slow
def test_a_whole_day_of_who_is_due(engine: Engine, runtime: Runtime, simulator: RunningSimulator) -> None:
    active_since = {"regular": 0, "leaving": -12, "gone": -30, "disabled": 0, "failing": 0, "paused": 0}
    for number, (user_id, hours) in enumerate(active_since.items()):
        register(engine, user_id, wallet(number))
        execute(
            engine,
            "UPDATE user_sync_status SET next_sync_at = %s, last_active_at = %s WHERE user_id = %s",
            NIGHT,
            NIGHT + timedelta(hours=hours),
            user_id,
        )
    execute(engine, "UPDATE user_sync_status SET is_sync_enabled = false WHERE user_id = 'disabled'")
    failing = wallet(list(active_since).index("failing"))
    simulator.fault("outage", wallet=failing)
    day = Day(runtime)

    day.pass_to(NIGHT, NIGHT + timedelta(hours=9))
    night = dict(day.synced)
    day.synced = {}
    day.pass_to(NIGHT + timedelta(hours=9), NIGHT + timedelta(hours=11))
    execute(engine, "UPDATE user_sync_status SET is_sync_enabled = false WHERE user_id = 'paused'")
    with engine.begin() as connection:
        pause(connection, "a test", "the test")
    market, day.synced = day.synced, {}
    day.pass_to(NIGHT + timedelta(hours=11), NIGHT + timedelta(hours=11, minutes=30))
    assert day.synced == {}
    with engine.begin() as connection:
        resume(connection)
    day.pass_to(NIGHT + timedelta(hours=11, minutes=30), NIGHT + timedelta(hours=17))
    afternoon, day.synced = day.synced, {}
    day.pass_to(NIGHT + timedelta(hours=17), NIGHT + timedelta(hours=24))

    assert len(night["regular"]) == 36
    assert gaps(night["regular"]) == {15}
    assert gaps(market["regular"]) == gaps(afternoon["regular"]) == {5}
    assert len(market["regular"]) == 24
    assert gaps(day.synced["regular"]) == {15}
    # He is active no more after noon.
    assert afternoon["leaving"][-1] == NIGHT + timedelta(hours=11, minutes=55)
    assert "leaving" not in day.synced
    assert not {"gone", "disabled"} & {*night, *market, *afternoon, *day.synced}
    assert "paused" not in {*afternoon, *day.synced}
    # 15, 30, 60, 120 minutes, then 240 at most.
    assert [int((moment - NIGHT).total_seconds() // 60) for moment in night["failing"]] == [0, 30, 90, 210, 450]
    assert status(engine, "failing").consecutive_failures > 5
    assert violations(engine) == []


def test_who_comes_back_after_days_is_due_at_once(engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", PLAIN_WALLET)
    execute(engine, "UPDATE user_sync_status SET last_active_at = now() - interval '3 days'")

    assert sweep(runtime).users == 0
    assert status(engine).next_sync_at is None
    execute(engine, "UPDATE user_sync_status SET last_active_at = now()")

    assert why_no_sweep(engine, runtime.policy.intervals, utc_now()) is None
    assert sweep(runtime).users == 1


def test_a_person_who_asks_during_a_sweep_takes_its_place(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    register(engine, "bob", POLYGON_WALLET)
    simulator.simulation.faults.latency_ms["all"] = 400
    with ThreadPoolExecutor(1) as side:
        sweeping = side.submit(sweep, runtime)
        wait_for_running(engine, "ann")
        simulator.simulation.faults.latency_ms.clear()
        asked = sync(runtime, "ann")
        report = sweeping.result()

    assert asked.status == "completed"
    assert dict(report.statuses) == {"cancelled": 1, "completed": 1}
    assert held(engine, "ann") == expected(PLAIN_WALLET)
    assert event_types(engine, "ann") == [
        "sync.failed",
        "sync.started",
        "sync.completed",
        "portfolio.updated",
    ]
    assert events(engine, "ann")[0]["data"]["error"]["code"] == "superseded"
    assert most_at_once(engine) == 1
    assert violations(engine) == []


def most_at_once(engine: Engine) -> int:
    """How many syncs of one user there ever were at the same moment."""
    with engine.connect() as connection:
        return connection.exec_driver_sql(
            "SELECT max(n) FROM (SELECT (SELECT count(*) FROM sync_operations b WHERE b.user_id = a.user_id "
            "AND b.started_at <= a.started_at AND coalesce(b.completed_at, 'infinity') > a.started_at) AS n "
            "FROM sync_operations a WHERE a.status <> 'refused') x"
        ).scalar_one()


def test_sweeps_and_syncs_side_by_side_never_sync_a_user_twice_at_once(
    engine: Engine, settings: Settings, simulator: RunningSimulator
) -> None:
    names = crowd(engine, 30)
    simulator.simulation.faults.latency_ms["all"] = 5
    process_worker(open_runtime(settings, engine), utc_now())
    rounds = threading.Barrier(3)

    def sweeper() -> int:
        mine = open_runtime(settings, engine)
        users = 0
        for _ in range(4):
            rounds.wait(30)
            users += sweep(mine, batch_size=4, batches_at_once=2).users
        return users

    def person() -> None:
        mine = open_runtime(settings, engine)
        for turn in range(4):
            make_due(engine)
            rounds.wait(30)
            for name in names[turn::4]:
                sync(mine, name)

    with ThreadPoolExecutor(3) as side:
        sweepers = [side.submit(sweeper) for _ in range(2)]
        side.submit(person).result()
        swept = sum(each.result() for each in sweepers)

    assert swept >= 30
    assert most_at_once(engine) == 1
    assert violations(engine) == []


def test_one_user_whose_data_can_not_be_stored_stops_nobody_else(engine: Engine, runtime: Runtime) -> None:
    names = crowd(engine, 9)
    execute(
        engine,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF NEW.user_id = 'user004' THEN RAISE 'not this one'; END IF; RETURN NEW; END $$",
    )
    execute(
        engine,
        "CREATE TRIGGER refuse BEFORE INSERT ON user_token_holdings FOR EACH ROW EXECUTE FUNCTION refuse()",
    )

    report = sweep(runtime)

    assert dict(report.statuses) == {"completed": 8, "failed": 1}
    assert list(report.problems) == [names[4]]
    assert "not this one" in report.problems[names[4]]
    assert operation(engine, names[4]).error_code == "internal_error"
    assert status(engine, names[4]).consecutive_failures == 1
    for _ in range(4):
        make_due(engine)
        sweep(runtime)
    make_due(engine)
    # His own breaker is open by now: he costs nothing for a while.
    assert sweep(runtime).users == 8
    assert violations(engine) == []


def test_when_nothing_can_be_read_a_sweep_ends_before_it_takes_anybody(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    crowd(engine, 8)
    simulator.fault("bad_key")
    first = sweep(runtime, batch_size=2, batches_at_once=1)

    assert first.users == 2
    assert first.ended.startswith("No chain can be read now, so nobody is synced. ")
    assert sweep(runtime).users == 0


@pytest.mark.slow
def test_the_plans_limit_slows_a_sweep_and_fails_nobody(
    engine: Engine, simulator: RunningSimulator, settings: Settings
) -> None:
    """800 of 1,000 units in any ten seconds are for sweeps: four calls."""
    tight = Settings.from_environment(
        {**simulator.environment(), **FAST, **UNLIMITED, "ALCHEMY_MAX_COMPUTE_UNITS_PER_SECOND": "100"}
    )
    runtime = open_runtime(tight, engine)
    crowd(engine, 15)

    report = sweep(runtime, batch_size=3, batches_at_once=2)

    assert dict(report.statuses) == {"completed": 15}
    with engine.connect() as connection:
        taken = connection.exec_driver_sql(
            "SELECT max(total) FROM rate_limits, LATERAL (SELECT sum(c) AS total FROM unnest(taken) c) x "
            "WHERE key = 'alchemy:compute_units'"
        ).scalar_one()
    assert taken <= 800


def test_without_room_in_its_time_a_sweep_hands_its_users_back(
    engine: Engine, simulator: RunningSimulator, runtime: Runtime
) -> None:
    names = crowd(engine, 4)
    execute(
        engine,
        "INSERT INTO rate_limits (key, blocked_at, blocked_until, block_reason) "
        "VALUES ('alchemy', now(), now() + interval '1 hour', 'said so')",
    )

    report = sweep(runtime)

    assert (report.users, report.ended.startswith("There was no room for more.")) == (0, True)
    assert {status(engine, name).sync_status for name in names} == {"never"}
    assert {operation(engine, name).error_code for name in names} == {"handed_back"}
    assert all(status(engine, name).next_sync_at <= utc_now() for name in names)
    assert violations(engine) == []


def _sweep_until_interrupted(url: str, settings: Settings) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    engine = open_engine(url)
    try:
        sweep(open_runtime(settings, engine), batch_size=2)
    except KeyboardInterrupt:
        os._exit(130)
    os._exit(0)


def _sweep_and_signal(
    engine: Engine, settings: Settings, simulator: RunningSimulator, number: signal.Signals
) -> tuple[list[str], int, BaseProcess]:
    """A sweep of six users that is sent a signal while no provider answers: they, the fault, and its process."""
    names = crowd(engine, 6)
    hang = simulator.fault("hang")
    process = _fork.Process(target=_sweep_until_interrupted, args=(url_of(engine), settings))
    process.start()
    wait_for_running(engine, names[-1])
    os.kill(process.pid, number)
    process.join(20)
    return names, hang, process


def test_a_sweep_that_is_interrupted_hands_back_what_it_has(
    engine: Engine, runtime: Runtime, settings: Settings, simulator: RunningSimulator
) -> None:
    names, hang, process = _sweep_and_signal(engine, settings, simulator, signal.SIGINT)

    assert process.exitcode == 130
    assert {operation(engine, name).error_code for name in names} == {"handed_back"}
    assert {event_types(engine, name)[-1] for name in names} == {"sync.failed"}
    simulator.simulation.faults.clear(hang)
    assert dict(sweep(runtime).statuses) == {"completed": 6}
    assert violations(engine) == []


@pytest.mark.slow
def test_a_sweep_that_is_killed_leaves_nobody_behind(
    engine: Engine, runtime: Runtime, settings: Settings, simulator: RunningSimulator
) -> None:
    names, hang, _ = _sweep_and_signal(engine, settings, simulator, signal.SIGKILL)

    recover(runtime)
    assert {operation(engine, name).error_code for name in names} == {"sync_worker_lost"}
    simulator.simulation.faults.clear(hang)
    assert dict(sweep(runtime).statuses) == {"completed": 6}
    assert violations(engine) == []


def test_batches_side_by_side_ask_for_a_price_once(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    names = [f"user{number}" for number in range(12)]
    for name in names:
        register(engine, name, PLAIN_WALLET)

    sweep(runtime, batch_size=2, batches_at_once=4)

    assert {portfolio(engine, name).totals for name in names} == {portfolio(engine, names[0]).totals}

    assert simulator.requests("binance") == 1
