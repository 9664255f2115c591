"""What goes when it is old, and what never does, against a real server."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import PLAIN_WALLET, POLYGON_WALLET
from moonx_pipeline.storage.requests.queue import add_request
from moonx_pipeline.storage.upkeep.history import thin_history
from moonx_pipeline.storage.upkeep.retention import (
    CHANGING_TABLES,
    analyze,
    prune_operations,
    prune_outbox,
    prune_requests,
    prune_unchanged,
)
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline_tests.fixtures.databases import Databases
from moonx_pipeline_tests.support.rows import register
from moonx_pipeline_tests.support.sql import CUT, NOW, execute, rows
from moonx_pipeline_tests.support.syncs import portfolio, sync, violations


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """One that nobody has used: no table of it was ever analyzed."""
    with databases.made("template_moonx") as url:
        yield url


# Events ------------------------------------------------------------------------------------------------


def add_events(engine: Engine, count: int, created: datetime, published: datetime | None) -> None:
    execute(
        engine,
        "INSERT INTO outbox_events (id, topic, key, type, payload, created_at, published_at) "
        "SELECT gen_random_uuid(), 'sync.events', 'user-' || n, 'sync.started', '{}', %s, %s "
        "FROM generate_series(1, %s) n",
        (created, published, count),
    )


def events(engine: Engine) -> list[tuple]:
    return rows(
        engine,
        "SELECT created_at, published_at IS NOT NULL, count(*) FROM outbox_events GROUP BY 1, 2 ORDER BY 1, 2",
    )


def test_published_events_go_when_they_are_old_and_unpublished_ones_never(engine: Engine) -> None:
    old, just_old, young = CUT - timedelta(days=1), CUT - timedelta(microseconds=1), CUT
    add_events(engine, 7000, old, published=old)
    add_events(engine, 3, old, published=None)
    add_events(engine, 6000, just_old, published=NOW)
    add_events(engine, 2, young, published=young)
    add_events(engine, 1, young, published=None)

    removed = list(prune_outbox(engine, CUT, unpublished=False))

    assert sum(removed) == 13_000
    assert max(removed) <= 5000
    assert events(engine) == [(old, False, 3), (young, False, 1), (young, True, 2)]
    assert sum(prune_outbox(engine, CUT, unpublished=False)) == 0


def test_without_a_broker_events_go_by_age_alone(engine: Engine) -> None:
    add_events(engine, 5001, CUT - timedelta(days=1), published=None)
    add_events(engine, 5, CUT, published=None)

    assert sum(prune_outbox(engine, CUT, unpublished=True)) == 5001
    assert events(engine) == [(CUT, False, 5)]


# Requests and operations -------------------------------------------------------------------------------

_ENDED = st.sampled_from(["completed", "partial", "failed", "cancelled", "refused"])
_AGES = st.sampled_from([timedelta(0), timedelta(microseconds=1), timedelta(microseconds=-1), timedelta(days=9)])
_SYNCS = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob"]),
        st.one_of(_ENDED, st.sampled_from(["pending", "running"])),
        _AGES,
        st.sampled_from(["no request", "done", "refused", "cancelled", "claimed"]),
        _AGES,
        st.booleans(),
    ),
    max_size=12,
)


@pytest.mark.slow
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(syncs=_SYNCS)
def test_what_ended_long_ago_goes_and_what_is_under_way_or_named_stays(engine: Engine, syncs: list[tuple]) -> None:
    execute(engine, "TRUNCATE sync_operations, sync_requests, user_sync_status CASCADE")
    execute(engine, "INSERT INTO user_sync_status (user_id) VALUES ('ann'), ('bob')")
    execute(
        engine,
        "INSERT INTO sync_requests (user_id, status, created_at) SELECT u, 'pending', %s FROM unnest(%s) u",
        (CUT - timedelta(days=400), ["ann", "bob"]),
    )
    last: dict[str, uuid.UUID] = {}
    requests_left, operations_left = 2, set()
    for user, status, age, request, request_age, is_last in syncs:
        operation = uuid.uuid4()
        ended = status not in ("pending", "running")
        execute(
            engine,
            "INSERT INTO sync_operations (id, user_id, status, trigger, completed_at) "
            "VALUES (%s, %s, %s, 'manual', %s)",
            (operation, user, status, CUT - age if ended else None),
        )
        has_request = request != "no request"
        if has_request:
            execute(
                engine,
                "INSERT INTO sync_requests (user_id, status, sync_operation_id, completed_at) VALUES (%s, %s, %s, %s)",
                (user, request, operation, None if request == "claimed" else CUT - request_age),
            )
        request_stays = has_request and (request == "claimed" or CUT - request_age >= CUT)
        requests_left += request_stays
        if is_last:
            last[user] = operation
        if not ended or CUT - age >= CUT or request_stays:
            operations_left.add(operation)
    for user, operation in last.items():
        execute(engine, "UPDATE user_sync_status SET last_sync_operation_id = %s WHERE user_id = %s", (operation, user))
    operations_left |= set(last.values())

    removed = sum(prune_requests(engine, CUT)), sum(prune_operations(engine, CUT))

    assert {row[0] for row in rows(engine, "SELECT id FROM sync_operations")} == operations_left
    assert len(rows(engine, "SELECT 1 FROM sync_requests")) == requests_left
    assert removed[1] == len(syncs) - len(operations_left)
    assert (sum(prune_requests(engine, CUT)), sum(prune_operations(engine, CUT))) == (0, 0)


def test_records_of_unchanged_syncs_go_with_the_operations_of_their_time(engine: Engine) -> None:
    for at in (CUT - timedelta(seconds=1), CUT, CUT + timedelta(days=1)):
        execute(
            engine,
            "INSERT INTO unchanged_syncs (completed_at, syncs, total_ms, tokens, provider_calls, compute_units, "
            "chains) VALUES (%s, 1, 1, 1, 1, 1, '[]')",
            (at,),
        )

    assert sum(prune_unchanged(engine, CUT)) == 1
    assert rows(engine, "SELECT count(*) FROM unchanged_syncs") == [(2,)]


def test_many_that_ended_at_the_same_moment_all_go(engine: Engine) -> None:
    execute(engine, "INSERT INTO user_sync_status (user_id) VALUES ('ann')")
    for ended, count in ((CUT - timedelta(days=2), 6000), (CUT - timedelta(days=1), 6000), (CUT, 7)):
        execute(
            engine,
            "INSERT INTO sync_operations (id, user_id, status, trigger, completed_at) "
            "SELECT gen_random_uuid(), 'ann', 'completed', 'schedule', %s FROM generate_series(1, %s)",
            (ended, count),
        )

    assert list(prune_operations(engine, CUT)) == [6000, 6000, 0]
    assert rows(engine, "SELECT count(*) FROM sync_operations") == [(7,)]


# All of it ---------------------------------------------------------------------------------------------


def test_what_syncs_stored_holds_together_after_all_that_is_old_is_gone(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    def served(user: str) -> None:
        with engine.begin() as connection:
            request = add_request(connection, user, source="api", priority="high")
        sync(runtime, user, request_id=request)

    for user, wallet in (("ann", PLAIN_WALLET), ("bob", POLYGON_WALLET)):
        register(engine, user, wallet)
        served(user)
        served(user)
    simulator.fault("outage")
    served("bob")
    simulator.simulation.faults.clear()
    # All that was lies half a year back; then ann goes on, and one request waits.
    shift = timedelta(days=180)
    for table, columns in {
        "sync_operations": ("started_at", "completed_at"),
        "sync_requests": ("created_at", "claimed_at", "completed_at"),
        "outbox_events": ("created_at", "published_at"),
        "user_token_holdings_history": ("created_at",),
    }.items():
        execute(engine, f"UPDATE {table} SET " + ", ".join(f"{column} = {column} - %s" for column in columns),
                (shift,) * len(columns))  # fmt: skip
    served("ann")
    with engine.begin() as connection:
        add_request(connection, "bob", source="api", priority="low")
    # As if the syncs were older than the minute for which the events of the oldest are not asked for.
    execute(engine, "UPDATE outbox_events SET created_at = created_at - interval '5 minutes'")
    before = portfolio(engine, "ann"), portfolio(engine, "bob")
    now = datetime.now(UTC)
    month_ago = now - timedelta(days=30)
    assert violations(engine) == []

    events_removed = sum(prune_outbox(engine, month_ago, unpublished=True))
    removed = sum(prune_requests(engine, month_ago)), sum(prune_operations(engine, month_ago))
    oldest = (now - timedelta(days=200)).date()
    list(thin_history(engine, hourly_before=now, daily_before=month_ago, oldest=oldest))

    assert events_removed > 0
    assert removed == (5, 4)  # bob's last operation is the one that his status names
    assert violations(engine) == []
    assert (portfolio(engine, "ann"), portfolio(engine, "bob")) == before
    assert rows(engine, "SELECT user_id, status FROM sync_requests ORDER BY 1") == [("ann", "done"), ("bob", "pending")]


@pytest.mark.parametrize("locked", [None, "sync_requests"])
def test_statistics_are_brought_up_to_date_but_of_a_table_that_is_locked(engine: Engine, locked: str | None) -> None:
    with engine.begin() as other:
        if locked:
            other.exec_driver_sql(f"LOCK {locked}")
        analyze(engine)

    analyzed = rows(
        engine, "SELECT relname FROM pg_class WHERE relname = ANY(%s) AND reltuples >= 0", (list(CHANGING_TABLES),)
    )
    assert {row[0] for row in analyzed} == set(CHANGING_TABLES) - {locked}
