"""Changing a user's wallets: what goes with them, what is told, and that no sync brings them back."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from itertools import count
from threading import Barrier
from uuid import uuid4

import jsonschema
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from moonx_pipeline.clock import utc_now
from moonx_pipeline.events.schema import event_schemas
from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import EMPTY_WALLET, PLAIN_WALLET, POLYGON_WALLET, THREE_WALLETS
from moonx_pipeline.storage.portfolios.portfolio import read_portfolio
from moonx_pipeline.storage.portfolios.users import wallets_of
from moonx_pipeline.sync.pipeline import SyncPipeline
from moonx_pipeline.sync.requests.wallets import WalletsChange, change_wallets
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline.sync.spec import SyncRefused, SyncSpec
from moonx_pipeline.sync.store import StoredSync
from moonx_pipeline_tests.support.rows import NOON, WALLET
from moonx_pipeline_tests.support.syncs import events, portfolio, register, status, sync, violations

SETTINGS = Settings.from_environment({"WORKER_RETRY_DELAY": "1"})
_numbers = count(1)


def put(engine: Engine, *wallets: str, user_id: str = "ann") -> WalletsChange:
    return change_wallets(engine, SETTINGS, user_id, wallets)


def stored_wallets(engine: Engine, user_id: str = "ann") -> tuple[str, ...]:
    with engine.connect() as connection:
        return wallets_of(connection, user_id)


def wallets_with_rows(engine: Engine, table: str, user_id: str = "ann") -> set[str]:
    with engine.connect() as connection:
        found = connection.exec_driver_sql(
            f"SELECT DISTINCT wallet_address FROM {table} WHERE user_id = %s", (user_id,)
        )
        return set(found.scalars())


def updates(engine: Engine, user_id: str = "ann") -> list[dict]:
    return [event for event in events(engine, user_id) if event["eventType"] == "portfolio.updated"]


def requests(engine: Engine, user_id: str = "ann"):
    with engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT id, source, priority, status, reason FROM sync_requests WHERE user_id = %s ORDER BY created_at",
            (user_id,),
        )
        return found.all()


def test_a_new_user_registers_by_his_wallets_and_is_read_first(engine: Engine) -> None:
    change = put(engine, POLYGON_WALLET, PLAIN_WALLET)

    assert change.wallets == change.added == (POLYGON_WALLET, PLAIN_WALLET)
    assert change.removed == ()
    ((request, source, priority, state, _),) = requests(engine)
    assert (change.request.request_id, source, priority, state) == (request, "wallets", "high", "pending")
    assert change.request.remaining == 9
    assert (status(engine).portfolio_version, updates(engine)) == (0, [])


def test_changes_past_their_limit_are_stored_and_read_when_due(engine: Engine) -> None:
    for number in range(10):
        asked = put(engine, f"0x{number:040x}")
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE sync_requests SET status = 'done' WHERE status = 'pending'")
    assert (asked.request.refusal, asked.request.remaining) == (None, 0)

    more = put(engine, PLAIN_WALLET)

    assert (more.wallets, more.request.request_id) == ((PLAIN_WALLET,), None)
    assert more.request.refusal.code == "rate_limited"
    assert "has changed wallets 10 times within 15 minutes" in more.request.refusal.reason
    assert len(requests(engine)) == 10
    assert status(engine).next_sync_at <= utc_now()


def test_new_wallets_have_the_order_given_and_kept_ones_keep_their_place(engine: Engine) -> None:
    put(engine, PLAIN_WALLET, POLYGON_WALLET, EMPTY_WALLET)

    change = put(engine, THREE_WALLETS[2], EMPTY_WALLET, THREE_WALLETS[1], PLAIN_WALLET)

    assert change.wallets == (PLAIN_WALLET, EMPTY_WALLET, THREE_WALLETS[2], THREE_WALLETS[1])
    assert (change.added, change.removed) == ((THREE_WALLETS[2], THREE_WALLETS[1]), (POLYGON_WALLET,))


def test_the_same_wallets_in_any_order_change_nothing(engine: Engine, runtime: Runtime) -> None:
    put(engine, PLAIN_WALLET, POLYGON_WALLET)
    sync(runtime)
    before, told = status(engine), events(engine)

    change = put(engine, POLYGON_WALLET, PLAIN_WALLET)

    assert change == WalletsChange((PLAIN_WALLET, POLYGON_WALLET), (), (), None)
    assert (status(engine), events(engine)) == (before, told)


def test_nobody_without_wallets_is_still_nobody(engine: Engine) -> None:
    assert put(engine) == WalletsChange((), (), (), None)

    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM user_sync_status").scalar_one() == 0


def test_a_wallet_that_goes_takes_all_of_it_along_and_the_rest_is_a_new_version(
    engine: Engine, runtime: Runtime
) -> None:
    put(engine, PLAIN_WALLET, POLYGON_WALLET)
    sync(runtime)
    whole = portfolio(engine)

    change = put(engine, POLYGON_WALLET)

    assert (change.removed, change.request.request_id) == ((PLAIN_WALLET,), requests(engine)[0].id)
    for table in ("user_token_holdings", "user_chain_status", "user_token_holdings_history", "user_wallets"):
        assert wallets_with_rows(engine, table) == {POLYGON_WALLET}
    left = portfolio(engine)
    assert left.positions == tuple(p for p in whole.positions if p.wallet == POLYGON_WALLET)
    assert (left.version, left.total_value_usd) == (2, left.totals.value_usd)
    assert left.as_of == whole.as_of
    told = updates(engine)[-1]
    jsonschema.validate(told, event_schemas()["portfolio.updated"], cls=jsonschema.Draft202012Validator)
    assert (told["version"], told["walletAddress"]) == (2, POLYGON_WALLET)
    assert {token["walletAddress"] for token in told["data"]["tokens"]} == {POLYGON_WALLET}
    assert violations(engine) == []


def test_a_wallet_that_was_never_read_goes_without_a_word(engine: Engine, runtime: Runtime) -> None:
    put(engine, PLAIN_WALLET)
    sync(runtime)
    put(engine, PLAIN_WALLET, POLYGON_WALLET)
    told = len(updates(engine))

    change = put(engine, PLAIN_WALLET)

    assert (change.removed, change.request is not None) == ((POLYGON_WALLET,), True)
    assert (status(engine).portfolio_version, len(updates(engine))) == (1, told)


def test_without_wallets_a_user_is_as_before_the_first_sync_but_for_the_version(
    engine: Engine, runtime: Runtime
) -> None:
    put(engine, PLAIN_WALLET)
    sync(runtime)
    put(engine, PLAIN_WALLET, POLYGON_WALLET)

    change = put(engine)

    assert (change.wallets, change.request) == ((), None)
    assert [(row.status, row.reason) for row in requests(engine)] == [
        ("cancelled", "The user has no wallets any more.")
    ] * len(requests(engine))
    row = status(engine)
    assert (row.sync_status, row.last_sync_at, row.total_value_usd, row.portfolio_version) == ("never", None, None, 2)
    told = updates(engine)[-1]
    assert (told["version"], told["walletAddress"], told["data"]["tokens"]) == (2, None, [])
    assert violations(engine) == []
    put(engine, POLYGON_WALLET)
    assert sync(runtime).version == 3


def test_where_all_wallets_are_others_nothing_is_said_to_be_read(engine: Engine, runtime: Runtime) -> None:
    put(engine, PLAIN_WALLET)
    sync(runtime)

    put(engine, POLYGON_WALLET)

    left = portfolio(engine)
    assert (left.as_of, left.total_value_usd, left.positions, left.chains) == (None, None, (), ())


def test_a_failed_chain_of_a_wallet_that_goes_is_no_longer_the_users(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    put(engine, PLAIN_WALLET)
    sync(runtime)
    put(engine, PLAIN_WALLET, EMPTY_WALLET)
    simulator.fault("outage")
    assert sync(runtime).status == "failed"
    assert portfolio(engine).totals.stale_chains

    put(engine, PLAIN_WALLET)

    assert {chain.status for chain in portfolio(engine).chains} == {"stale"}
    assert status(engine).portfolio_version == 3


def test_what_a_sync_read_of_old_wallets_is_not_stored(engine: Engine, runtime: Runtime) -> None:
    put(engine, PLAIN_WALLET, POLYGON_WALLET)
    sync(runtime)

    outcome = sync_while(runtime, lambda: put(engine, POLYGON_WALLET), order_of("ann"))

    assert outcome.status == "cancelled"
    assert {p.wallet for p in portfolio(engine).positions} == {POLYGON_WALLET}
    assert violations(engine) == []


def test_a_wallet_that_came_is_read_by_the_next_sweep_also_where_movements_are_told(engine: Engine) -> None:
    register(engine, "ann", WALLET)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE user_sync_status SET balances_read_at = %s", (NOON,))

    put(engine, WALLET, PLAIN_WALLET)

    assert status(engine).balances_read_at is None


def test_many_who_set_wallets_at_once_leave_one_of_the_lists(engine: Engine, runtime: Runtime) -> None:
    lists = [(PLAIN_WALLET,), (POLYGON_WALLET, PLAIN_WALLET), (), (EMPTY_WALLET, PLAIN_WALLET, POLYGON_WALLET)]
    start = Barrier(8)

    def work(number: int) -> None:
        start.wait()
        for n in range(6):
            put(engine, *lists[(number + n) % len(lists)])
            if number == 0:
                with suppress(SyncRefused):  # he may have no wallets just now
                    sync(runtime)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))

    assert set(stored_wallets(engine)) in [set(wallets) for wallets in lists]
    assert violations(engine) == []


def order_of(user_id: str, trigger: str = "manual") -> SyncSpec:
    return SyncSpec(uuid4(), user_id, trigger)


def sync_while(runtime: Runtime, meanwhile, order: SyncSpec) -> StoredSync:
    """A sync, with something that happens after it has read and before it is stored."""
    times = count()

    def clock() -> datetime:
        if next(times) == 1:
            meanwhile()
        return utc_now()

    return SyncPipeline(runtime, clock=clock).run(order)


_WALLETS = (PLAIN_WALLET, POLYGON_WALLET, EMPTY_WALLET, *THREE_WALLETS)
_lists = st.lists(st.sampled_from(_WALLETS), unique=True, max_size=4)
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), _lists),
        st.tuples(st.just("sync"), st.sampled_from(["manual", "wallets", "webhook"])),
        st.tuples(st.just("sync while put"), _lists),
        st.tuples(st.just("outage"), st.booleans()),
    ),
    min_size=1,
    max_size=10,
)


@hypothesis_settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_steps)
def test_whatever_wallets_come_and_go_and_whenever_syncs_read_them_the_data_agrees(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, steps
) -> None:
    user, wallets = f"user{next(_numbers)}", ()
    simulator.simulation.faults.clear()
    for what, value in steps:
        version = version_of(engine, user)
        if what == "put":
            change = put(engine, *value, user_id=user)
            wallets = checked(change, wallets, value)
            grew = version_of(engine, user) - version
            assert grew <= bool(change.removed)
        elif what == "outage":
            simulator.simulation.faults.clear()
            if value:
                simulator.fault("outage")
        elif not wallets:
            continue
        elif what == "sync":
            outcome = sync(runtime, user, trigger=value)
            assert outcome.version - version == outcome.changed
        else:
            before = wallets

            def meanwhile(value=value, before=before) -> None:
                nonlocal wallets
                wallets = checked(put(engine, *value, user_id=user), before, value)

            outcome = sync_while(runtime, meanwhile, order_of(user))
            assert (outcome.status == "cancelled") == (set(before) != set(wallets))

        assert stored_wallets(engine, user) == wallets
        for table in ("user_token_holdings", "user_chain_status", "user_token_holdings_history"):
            assert wallets_with_rows(engine, table, user) <= set(wallets)
        told = [event["version"] for event in updates(engine, user)]
        assert told == list(range(1, version_of(engine, user) + 1))
        if told:
            last = updates(engine, user)[-1]["data"]
            assert {t["walletAddress"] for t in last["tokens"]} <= set(wallets)
            with engine.connect() as connection:
                stored = read_portfolio(connection, user)
            assert last["totalValueUsd"] == float(stored.totals.value_usd if stored else 0)
        assert violations(engine) == []


def checked(change: WalletsChange, before: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """The wallets after a change, which is as it should be."""
    kept = tuple(wallet for wallet in before if wallet in wanted)
    new = tuple(wallet for wallet in wanted if wallet not in before)
    assert (change.wallets, change.added) == ((*kept, *new), new)
    assert change.removed == tuple(wallet for wallet in before if wallet not in wanted)
    assert (change.request is not None) == bool(wanted and (change.added or change.removed))
    return change.wallets


def version_of(engine: Engine, user_id: str) -> int:
    with engine.connect() as connection:
        version = connection.exec_driver_sql(
            "SELECT portfolio_version FROM user_sync_status WHERE user_id = %s", (user_id,)
        ).scalar()
    return version or 0
