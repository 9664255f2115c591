"""From a request to its run: marked once, by priority, looked at later, and not while paused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

from sqlalchemy import Engine

from moonx_pipeline.storage.requests.bulk import (
    Selection,
    select_users,
    similar_users,
    unknown_users,
)
from moonx_pipeline.storage.requests.dispatches import (
    Dispatch,
    Queue,
    Reconciliation,
    dispatch_these,
    open_dispatches,
    read_queue,
    reconcile,
    refuse_unservable,
    undo_dispatch,
)
from moonx_pipeline.storage.requests.pause import current_pause, pause, resume
from moonx_pipeline.storage.requests.queue import refuse_request
from moonx_pipeline_tests.support.requests import ask, claim, let_time_pass, mark, requeue, row
from moonx_pipeline_tests.support.rows import NOON, register


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


def test_requests_are_marked_by_priority_then_age_within_what_may_be_under_way(engine: Engine) -> None:
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

    def work(number: int) -> list[Dispatch]:
        if number % 2:
            return [launch for _ in range(20) for launch in mark(engine, batch=5, capacity=1000)]
        with engine.begin() as connection:  # the run trigger's way
            return dispatch_these(connection, list(requests)[number::3])

    with ThreadPoolExecutor(8) as pool:
        marked = [launch for launches in pool.map(work, range(8)) for launch in launches]
    marked += mark(engine, batch=1000, capacity=1000)

    assert len(marked) == len(requests)
    assert {launch.request_id for launch in marked} == requests
    assert {launch.number for launch in marked} == {1}


def test_the_run_trigger_marks_urgent_requests_without_a_run_unless_paused(engine: Engine) -> None:
    high, low, launched = ask(engine, "ann"), ask(engine, "bob", "low"), ask(engine, "cyd")
    with engine.begin() as connection:
        assert [launch.user_id for launch in dispatch_these(connection, [launched])] == ["cyd"]
        pause(connection, "Provider maintenance.", "ops")
        assert dispatch_these(connection, [high, low, launched]) == []
        resume(connection)
        (marked,) = dispatch_these(connection, [high, low, launched, uuid4()])
        assert (marked.request_id, marked.number) == (high, 1)
        undo_dispatch(connection, [marked])
        assert [launch.number for launch in dispatch_these(connection, [high])] == [1]


def test_a_mark_that_another_run_has_replaced_is_not_taken_back(engine: Engine) -> None:
    request = ask(engine, "ann", "low", source="backfill")
    (first,) = mark(engine)
    ask(engine, "ann", "high")
    (second,) = mark(engine)

    with engine.begin() as connection:
        undo_dispatch(connection, [first])
        reconcile(connection, [Reconciliation(first.request_id, first.number, "lost")])

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
        assert open_dispatches(connection, 50) == []
        let_time_pass(connection)
        looks = open_dispatches(connection, 50)
        assert {look.request_id for look in looks} == set(requests.values())
        findings = [Reconciliation(requests[user], 1, outcome, reason) for user, (outcome, reason) in outcomes.items()]
        reconcile(connection, findings)
        reconcile(connection, findings)
        assert open_dispatches(connection, 50) == []

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
        reconcile(connection, [Reconciliation(request, 1, "lost")])

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
