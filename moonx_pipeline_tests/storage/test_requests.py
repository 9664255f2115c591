"""Requests as rows: one that waits a user, marked once for a run, and never lost."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, Engine

from moonx_pipeline.storage.bulk_requests import (
    Selection,
    add_requests,
    select_users,
    similar_users,
    unknown_users,
)
from moonx_pipeline.storage.database import open_engine
from moonx_pipeline.storage.launches import (
    Finding,
    Launch,
    Queue,
    mark_next,
    mark_these,
    read_queue,
    refuse_unservable,
    settle_looks,
    to_look_at,
    unmark,
)
from moonx_pipeline.storage.migrations import SQL_FOLDER, known_migrations, migrate
from moonx_pipeline.storage.pause import current_pause, pause, resume
from moonx_pipeline.storage.requests import add_request, refuse_request, requeue_requests
from moonx_pipeline_tests.storage.examples import NOON, register


def ask(engine: Engine, user_id: str, priority: str = "high", **more) -> UUID:
    with engine.begin() as connection:
        return add_request(connection, user_id, source=more.pop("source", "api"), priority=priority, **more)


def row(engine: Engine, request: UUID):
    with engine.connect() as connection:
        return connection.exec_driver_sql("SELECT * FROM sync_requests WHERE id = %s", (request,)).one()


def claim(engine: Engine, request: UUID) -> UUID:
    """Lets a sync have the request, as its opening does."""
    operation = uuid4()
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE sync_requests SET status = 'claimed', claimed_at = now(), sync_operation_id = %s WHERE id = %s",
            (operation, request),
        )
    return operation


def requeue(engine: Engine, *operations: UUID, tries: int = 3) -> None:
    with engine.begin() as connection:
        requeue_requests(connection, operations, tries)


def mark(engine: Engine, batch: int = 50, capacity: int = 50) -> list[Launch]:
    with engine.begin() as connection:
        return mark_next(connection, batch=batch, capacity=capacity)


def let_time_pass(connection: Connection) -> None:
    """Until every run that was started should have begun."""
    connection.exec_driver_sql("UPDATE sync_requests SET look_at = look_at - interval '1 hour'")


def test_the_same_key_of_a_user_is_the_same_request_also_when_that_one_has_ended(engine: Engine) -> None:
    first = ask(engine, "ann", idempotency_key="k1")
    other = ask(engine, "bob", idempotency_key="k1")
    with engine.begin() as connection:
        refuse_request(connection, first, "No wallets.")

    assert ask(engine, "ann", idempotency_key="k1") == first != other
    ended = row(engine, first)
    assert (ended.status, ended.reason, ended.completed_at is not None) == ("refused", "No wallets.", True)


def test_one_request_waits_and_takes_the_higher_priority_and_the_more_personal_source(engine: Engine) -> None:
    first = ask(engine, "ann", "low", source="backfill")

    assert ask(engine, "ann", "medium", source="webhook") == first
    assert ask(engine, "ann", "high", source="api") == first
    assert ask(engine, "ann", "low", source="backfill") == first

    assert (row(engine, first).priority, row(engine, first).source) == ("high", "api")


def test_a_click_on_what_waits_behind_a_backfill_is_given_a_run_of_its_own(engine: Engine) -> None:
    request = ask(engine, "ann", "low", source="backfill")
    ask(engine, "bob", "medium")
    assert [launch.number for launch in mark(engine)] == [1, 1]
    assert mark(engine) == []

    ask(engine, "ann", "high", source="api")
    ask(engine, "bob", "high")

    (again,) = mark(engine)
    assert (again.request_id, again.number, again.priority) == (request, 2, "high")
    assert again.run_key == f"{request}:2"


def test_a_lost_request_waits_again_for_a_run_with_a_new_key(engine: Engine) -> None:
    request = ask(engine, "ann")
    (first,) = mark(engine)

    requeue(engine, claim(engine, request))

    (second,) = mark(engine)
    assert (first.run_key, second.run_key) == (str(request), f"{request}:2")
    assert mark(engine) == []
    requeue(engine, claim(engine, request))
    requeue(engine, claim(engine, request))
    ended = row(engine, request)
    assert (ended.status, ended.reason, ended.launched_at) == ("refused", "Its worker died 3 times.", None)


def test_of_a_users_lost_requests_the_most_urgent_waits_and_serves_the_others(engine: Engine) -> None:
    requests = []
    for priority in ("low", "high", "medium"):
        requests.append(ask(engine, "ann", priority))
        claim(engine, requests[-1])
    operations = [row(engine, request).sync_operation_id for request in requests]

    requeue(engine, *operations)

    assert [row(engine, request).status for request in requests] == ["cancelled", "pending", "cancelled"]
    assert [row(engine, request).served_by for request in requests] == [requests[1], None, requests[1]]
    assert row(engine, requests[0]).reason == f"Its worker died. Request {requests[1]} serves it as well."


def test_a_lost_request_is_served_by_the_one_that_waits_already_which_is_raised(engine: Engine) -> None:
    lost = ask(engine, "ann", "high")
    operation = claim(engine, lost)
    waiting = ask(engine, "ann", "low", source="backfill")
    assert len(mark(engine)) == 1

    requeue(engine, operation)

    assert (row(engine, lost).status, row(engine, lost).served_by) == ("cancelled", waiting)
    assert (row(engine, waiting).status, row(engine, waiting).priority) == ("pending", "high")
    assert [launch.request_id for launch in mark(engine)] == [waiting]


def test_a_bulk_that_commits_while_lost_requests_are_put_back_loses_none(engine: Engine, database_url: str) -> None:
    register(engine, "ann")
    lost = ask(engine, "ann")
    operation = claim(engine, lost)
    bulk = engine.connect()
    transaction = bulk.begin()
    (asked,) = add_requests(bulk, ["ann"], source="backfill", priority="low")
    recovery = open_engine(database_url)

    def commit_when_waited_for() -> None:
        """Once the recovery waits for the bulk's row, which it can't see before."""
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as looking:
            while not looking.exec_driver_sql("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)").scalar_one():
                pass
        transaction.commit()

    with ThreadPoolExecutor(1) as pool:
        committed = pool.submit(commit_when_waited_for)
        requeue(recovery, operation)
        committed.result()
    bulk.close()
    recovery.dispose()

    assert (row(engine, lost).status, row(engine, lost).served_by) == ("cancelled", asked.request_id)
    assert (row(engine, asked.request_id).status, row(engine, asked.request_id).priority) == ("pending", "high")


def test_requests_are_marked_by_priority_then_the_oldest_first_and_within_what_may_be_under_way(engine: Engine) -> None:
    for user, priority in [("a", "low"), ("b", "medium"), ("c", "high"), ("d", "medium"), ("e", "high"), ("f", "low")]:
        ask(engine, user, priority)

    marked = mark(engine, batch=3, capacity=3)
    assert [launch.user_id for launch in marked] == ["c", "e", "b"]
    assert [launch.user_id for launch in mark(engine, batch=1, capacity=3)] == ["a"]
    assert mark(engine, batch=1, capacity=3) == []
    with engine.connect() as connection:
        assert read_queue(connection) == Queue(waiting=2, launched=4)

    claim(engine, marked[0].request_id)
    assert mark(engine, batch=1, capacity=3) == []
    with engine.begin() as connection:
        refuse_request(connection, marked[0].request_id, "It ended.")
    assert [launch.user_id for launch in mark(engine, batch=1, capacity=3)] == ["d"]


def test_two_who_mark_at_once_never_mark_the_same(engine: Engine) -> None:
    requests = {ask(engine, f"user{number}") for number in range(200)}

    def work(number: int) -> list[Launch]:
        if number % 2:
            return [launch for _ in range(20) for launch in mark(engine, batch=5, capacity=1000)]
        with engine.begin() as connection:  # the doorbell's way
            return mark_these(connection, list(requests)[number::3])

    with ThreadPoolExecutor(8) as pool:
        marked = [launch for launches in pool.map(work, range(8)) for launch in launches]
    marked += mark(engine, batch=1000, capacity=1000)

    assert len(marked) == len(requests)
    assert {launch.request_id for launch in marked} == requests
    assert {launch.number for launch in marked} == {1}


def test_the_doorbell_marks_what_presses_and_has_no_run_and_nothing_while_paused(engine: Engine) -> None:
    high, low, launched = ask(engine, "ann"), ask(engine, "bob", "low"), ask(engine, "cyd")
    with engine.begin() as connection:
        assert [launch.user_id for launch in mark_these(connection, [launched])] == ["cyd"]
        pause(connection, "Provider maintenance.", "ops")
        assert mark_these(connection, [high, low, launched]) == []
        resume(connection)
        (marked,) = mark_these(connection, [high, low, launched, uuid4()])
        assert (marked.request_id, marked.number) == (high, 1)
        unmark(connection, [marked])
        assert [launch.number for launch in mark_these(connection, [high])] == [1]


def test_a_mark_that_another_run_has_replaced_is_not_taken_back(engine: Engine) -> None:
    request = ask(engine, "ann", "low", source="backfill")
    (first,) = mark(engine)
    ask(engine, "ann", "high")
    (second,) = mark(engine)

    with engine.begin() as connection:
        unmark(connection, [first])
        settle_looks(connection, [Finding(first.request_id, first.number, "lost")])

    kept = row(engine, request)
    assert (kept.launches, kept.launched_at is not None, kept.attempts, second.number) == (2, True, 0, 2)


def test_what_became_of_a_run_decides_over_its_request(engine: Engine) -> None:
    outcomes = {
        "ann": ("under_way", None),
        "bob": ("lost", None),
        "cyd": ("canceled", "Its run was canceled."),
        "dan": ("lost", "Too often."),
    }
    requests = {user: ask(engine, user) for user in outcomes}
    mark(engine)
    with engine.begin() as connection:
        assert to_look_at(connection, 50) == []
        let_time_pass(connection)
        looks = to_look_at(connection, 50)
        assert {look.request_id for look in looks} == set(requests.values())
        findings = [Finding(requests[user], 1, outcome, reason) for user, (outcome, reason) in outcomes.items()]
        settle_looks(connection, findings)
        settle_looks(connection, findings)
        assert to_look_at(connection, 50) == []

    found = {user: row(engine, request) for user, request in requests.items()}
    assert {user: (r.status, r.attempts, r.launched_at is not None) for user, r in found.items()} == {
        "ann": ("pending", 0, True),
        "bob": ("pending", 1, False),
        "cyd": ("cancelled", 0, False),
        "dan": ("refused", 1, False),
    }
    assert found["dan"].reason == "Too often."
    assert [launch.run_key for launch in mark(engine)] == [f"{requests['bob']}:2"]


def test_a_request_that_went_on_in_the_meantime_is_left_alone_by_a_late_look(engine: Engine) -> None:
    request = ask(engine, "ann")
    mark(engine)
    claim(engine, request)

    with engine.begin() as connection:
        settle_looks(connection, [Finding(request, 1, "lost")])

    assert (row(engine, request).status, row(engine, request).attempts) == ("claimed", 0)


def test_requests_of_users_who_can_not_be_synced_are_refused_in_one_statement(engine: Engine) -> None:
    for user in ("ann", "bob"):
        register(engine, user)
    requests = {user: ask(engine, user) for user in ("ann", "bob", "it's {nobody} 100%")}
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE user_sync_status SET is_sync_enabled = false WHERE user_id = 'bob'")
        assert refuse_unservable(connection, 100) == 2

    assert row(engine, requests["ann"]).status == "pending"
    assert row(engine, requests["bob"]).reason == (
        "Syncs of user 'bob' are disabled: set is_sync_enabled in user_sync_status."
    )
    assert row(engine, requests["it's {nobody} 100%"]).reason == (
        "User 'it's {nobody} 100%' has no wallets: register them with 'moonx user add it's {nobody} 100% ADDRESS'."
    )


def test_a_bulk_asks_once_for_each_who_can_be_synced_and_says_who_can_not(engine: Engine) -> None:
    for user in ("ann", "bob", "cyd"):
        register(engine, user)
    waiting = ask(engine, "bob", "medium")
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE user_sync_status SET is_sync_enabled = false WHERE user_id = 'cyd'")
        rows = add_requests(connection, ["cyd", "bob", "ann", "bob", "zoe"], source="backfill", priority="low")

    assert [(r.user_id, r.is_new, r.known, r.enabled, r.request_id is not None) for r in rows] == [
        ("ann", True, True, True, True),
        ("bob", False, True, True, True),
        ("cyd", False, True, False, False),
        ("zoe", False, False, True, False),
    ]
    assert rows[1].request_id == waiting
    assert (row(engine, waiting).priority, row(engine, waiting).source) == ("medium", "api")


def test_users_are_selected_by_what_became_of_their_syncs(engine: Engine) -> None:
    for user in ("fresh", "old", "never", "failed", "off"):
        register(engine, user)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE user_sync_status SET last_sync_at = CASE user_id WHEN 'never' THEN NULL "
            "WHEN 'old' THEN %(noon)s::timestamptz - interval '2 h' ELSE %(noon)s END, "
            "sync_status = CASE user_id WHEN 'failed' THEN 'failed' ELSE 'completed' END, "
            "is_sync_enabled = user_id <> 'off'",
            {"noon": NOON},
        )
        found = {selection: select_users(connection, selection, NOON) for selection in Selection}
        assert unknown_users(connection, ["old", "alt", "never", "neu"]) == ["alt", "neu"]
        assert similar_users(connection, "nevr") == ["never"]

    assert found == {
        Selection.ALL: ["failed", "fresh", "never", "old"],
        Selection.STALE: ["never", "old"],
        Selection.FAILED: ["failed"],
    }


def test_there_is_one_pause_with_its_reason_until_it_is_ended(engine: Engine) -> None:
    with engine.begin() as connection:
        assert current_pause(connection) is None
        first = pause(connection, "Provider maintenance.", "ann@host")
    with engine.begin() as connection:
        second = pause(connection, "It takes longer.", "bob@host")
        assert current_pause(connection) == second
        assert (second.paused_at, second.reason, second.paused_by) == (first.paused_at, "It takes longer.", "bob@host")
        assert resume(connection) == second
        assert resume(connection) is None
        assert current_pause(connection) is None


@pytest.mark.usefixtures("engine")
def test_requests_that_waited_together_before_are_served_by_the_most_urgent(
    empty_database_url: str, tmp_path: Path
) -> None:
    for name in known_migrations()[:6]:
        shutil.copy(SQL_FOLDER / f"{name}.sql", tmp_path)
    engine = open_engine(empty_database_url)
    migrate(engine, tmp_path)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO sync_requests (user_id, priority, status) VALUES ('ann', 'low', 'pending'), "
            "('ann', 'high', 'pending'), ('ann', 'high', 'done'), ('bob', 'low', 'pending')"
        )

    migrate(engine)

    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT r.user_id, r.priority, r.status, s.priority FROM sync_requests r "
            "LEFT JOIN sync_requests s ON s.id = r.served_by ORDER BY r.user_id, r.priority_rank, r.status"
        )
        assert [tuple(found) for found in rows] == [
            ("ann", "high", "done", None),
            ("ann", "high", "pending", None),
            ("ann", "low", "cancelled", "high"),
            ("bob", "low", "pending", None),
        ]
    engine.dispose()
