"""The sensor of requests on a real instance: with many waiting, twice at once, and after losses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import uuid4

import dagster as dg
from sqlalchemy import event

from moonx_pipeline.defs.resources import Database, PipelineSettings
from moonx_pipeline.storage.requests.pause import pause, resume
from moonx_pipeline.storage.requests.queue import add_request, requeue_requests
from moonx_pipeline_tests.support.sensor_ticks import Ticks, ask, let_time_pass, living_workers, row


def test_each_request_is_one_run_of_its_users_partition_and_no_second_one(ticks: Ticks) -> None:
    low = ask(ticks.engine, "ann", "low", "backfill")
    high = ask(ticks.engine, "bob", "high", "api")

    first, second = ticks.requested()

    assert (first.run_key, first.partition_key) == (str(high), "bob")
    assert first.tags == {
        "dagster/sensor_name": "sync_requests",
        "dagster/partition": "bob",
        "moonx/user": "bob",
        "moonx/request": str(high),
        "moonx/trigger": "manual",
        "moonx/priority": "high",
    }
    assert (second.run_key, second.tags["moonx/trigger"], second.tags["moonx/priority"]) == (
        str(low),
        "backfill",
        "low",
    )
    assert {"ann", "bob"} <= set(ticks.instance.get_dynamic_partitions("users"))
    again = ticks.evaluate()
    assert (again.run_requests, again.skip_message) == ([], "No request waits for a run; of 2 it has not begun.")


def test_users_who_can_not_be_synced_are_refused_and_hold_up_nobody(ticks: Ticks) -> None:
    with ticks.engine.begin() as connection:
        unknown = [add_request(connection, f"nobody{number}", source="api", priority="high") for number in range(60)]
    disabled = ask(ticks.engine, "ann")
    with ticks.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE user_sync_status SET is_sync_enabled = false")
    good = ask(ticks.engine, "bob", "low")

    (only,) = ticks.requested()

    assert only.run_key == str(good)
    assert {row(ticks.engine, request).status for request in [*unknown, disabled]} == {"refused"}
    assert "has no wallets" in row(ticks.engine, unknown[0]).reason
    assert "are disabled" in row(ticks.engine, disabled).reason
    with ticks.engine.begin() as connection:
        add_request(connection, "zoe", source="api", priority="high")
    assert ticks.evaluate().skip_message == (
        "1 that can't be served is refused. No request waits for a run; of 1 it has not begun."
    )


def test_while_paused_nothing_starts_and_the_reason_says_who_waits_since_when(ticks: Ticks) -> None:
    request = ask(ticks.engine, "ann")
    ask(ticks.engine, "bob")
    with ticks.engine.begin() as connection:
        begun = pause(connection, "The provider moves.", "ops@host")

    said = ticks.evaluate()

    assert said.run_requests == []
    assert said.skip_message == (
        f"All syncs are paused since {begun.paused_at:%Y-%m-%dT%H:%M:%S}.{begun.paused_at.microsecond // 1000:03}Z "
        "by ops@host: The provider moves. 2 requests wait until 'moonx resume'."
    )
    assert (row(ticks.engine, request).status, row(ticks.engine, request).launches) == ("pending", 0)
    with ticks.engine.begin() as connection:
        resume(connection)
    assert len(ticks.requested()) == 2


def test_what_became_of_a_run_that_did_not_begin_decides(ticks: Ticks) -> None:
    asked = {user: ask(ticks.engine, user) for user in ("waits_in_the_broker", "failed")}
    by_key = {run_request.run_key: run_request for run_request in ticks.requested()}
    ticks.start(by_key[str(asked["waits_in_the_broker"])], dg.DagsterRunStatus.STARTING)
    ticks.start(by_key[str(asked["failed"])], dg.DagsterRunStatus.FAILURE)
    assert ticks.requested() == []

    let_time_pass(ticks.engine)
    (again,) = ticks.requested()

    assert again.run_key == f"{asked['failed']}:2"
    ticks.start(again, dg.DagsterRunStatus.CANCELED)
    let_time_pass(ticks.engine)
    never_made = ask(ticks.engine, "never_made")
    assert [run_request.run_key for run_request in ticks.requested()] == [str(never_made)]
    canceled = row(ticks.engine, asked["failed"])
    assert (canceled.status, canceled.attempts) == ("cancelled", 1)
    assert canceled.reason.endswith("was canceled in Dagster.")
    assert row(ticks.engine, asked["waits_in_the_broker"]).launches == 1

    # As when the daemon dies between the evaluation of a tick and the start of its runs, again and again.
    for number in (2, 3):
        let_time_pass(ticks.engine)
        assert [run_request.run_key for run_request in ticks.requested()] == [f"{never_made}:{number}"]
    let_time_pass(ticks.engine)
    assert ticks.requested() == []
    refused = row(ticks.engine, never_made)
    assert refused.status == "refused"
    assert refused.reason == (
        "It was lost 3 times; the last time no run of it came to be: "
        "see the ticks of the sensor sync_requests in Dagster."
    )


def test_a_request_whose_worker_was_lost_is_started_anew_once(ticks: Ticks) -> None:
    request, operation = ask(ticks.engine, "ann"), uuid4()
    (first,) = ticks.requested()
    ticks.start(first, dg.DagsterRunStatus.STARTED)
    with ticks.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE sync_requests SET status = 'claimed', sync_operation_id = %s", (operation,))
    assert ticks.requested() == []
    with ticks.engine.begin() as connection:
        requeue_requests(connection, [operation], 3)

    (second,) = ticks.requested()

    assert (first.run_key, second.run_key) == (str(request), f"{request}:2")
    assert ticks.requested() == []


def test_two_ticks_at_once_start_each_request_once(ticks: Ticks) -> None:
    asked = {str(ask(ticks.engine, f"user{number}", "low", "backfill")) for number in range(40)}
    start = Barrier(4)

    def evaluate(_: int) -> list[dg.RunRequest]:
        start.wait()
        return ticks.requested()

    with ThreadPoolExecutor(4) as pool:
        found = Counter(request.run_key for requested in pool.map(evaluate, range(4)) for request in requested)

    assert found == Counter(asked)


def test_no_more_is_under_way_than_the_workers_carry_and_the_reason_says_so(ticks: Ticks) -> None:
    for number in range(5):
        ask(ticks.engine, f"user{number}", "medium")

    assert len(ticks.requested()) == 2  # no worker process lives
    assert ticks.evaluate().skip_message == (
        "3 requests wait: 2 runs are started and not begun, and 0 worker processes live."
    )
    with living_workers(ticks.engine, 2):
        assert len(ticks.requested()) == 2


_CROWD = """
INSERT INTO user_wallets (user_id, wallet_address)
SELECT 'user' || n, '0x' || lpad(to_hex(n), 40, '0') FROM generate_series(1, 100000) n;
INSERT INTO user_sync_status (user_id) SELECT 'user' || n FROM generate_series(1, 100000) n;
INSERT INTO sync_requests (user_id, priority)
SELECT 'user' || n, (ARRAY['low', 'high', 'medium'])[1 + mod(n, 3)] FROM generate_series(1, 100000) n;
ANALYZE sync_requests, user_wallets, user_sync_status;
"""


def _nodes(plan: dict) -> Iterator[dict]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def test_with_100_000_waiting_a_tick_is_a_few_statements_that_read_a_batch(ticks: Ticks) -> None:
    with ticks.engine.begin() as connection:
        connection.exec_driver_sql(_CROWD)
    statements: list[tuple[str, dict]] = []
    pipeline = Database(settings=PipelineSettings()).engine

    def note(_connection, _cursor, statement, parameters, *_) -> None:
        statements.append((statement, parameters))

    event.listen(pipeline, "before_cursor_execute", note)
    requested = ticks.requested()
    event.remove(pipeline, "before_cursor_execute", note)

    assert len(requested) == 50
    assert Counter(request.tags["moonx/priority"] for request in requested) == {"high": 2, "low": 48}
    assert len(statements) == 5
    for statement, parameters in statements:
        with ticks.engine.connect() as connection:  # rolled back
            plan = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters).scalar_one()
        for node in _nodes(plan[0]["Plan"]):
            if node.get("Relation Name") == "sync_requests":
                assert node["Node Type"] not in ("Seq Scan", "Bitmap Heap Scan"), statement
                # The first thousand in line are looked at for users who can't be synced.
                assert node.get("Actual Rows", 0) * node.get("Actual Loops", 1) <= 1000, node
