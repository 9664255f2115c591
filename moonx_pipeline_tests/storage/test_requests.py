"""Requests as rows: one that waits a user, asked by many or for many, and never lost."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine

from moonx_pipeline.storage.connection.engine import open_engine
from moonx_pipeline.storage.connection.migrations import SQL_FOLDER, known_migrations, migrate
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.requests.bulk import (
    add_requests,
)
from moonx_pipeline.storage.requests.queue import refuse_request
from moonx_pipeline_tests.support.requests import ask, claim, mark, requeue, row
from moonx_pipeline_tests.support.rows import register


def test_the_same_key_of_a_user_is_the_same_request_also_when_that_one_has_ended(engine: Engine) -> None:
    first = ask(engine, "ann", idempotency_key="k1")
    other = ask(engine, "bob", idempotency_key="k1")
    with engine.begin() as connection:
        refuse_request(connection, first, "No wallets.")

    assert ask(engine, "ann", idempotency_key="k1") == first != other
    ended = row(engine, first)
    assert (ended.status, ended.reason, ended.completed_at is not None) == ("refused", "No wallets.", True)


def test_one_request_waits_with_the_higher_priority_and_more_personal_source(engine: Engine) -> None:
    first = ask(engine, "ann", "low", source="backfill")

    assert ask(engine, "ann", "medium", source="webhook") == first
    assert ask(engine, "ann", "high", source="api") == first
    assert ask(engine, "ann", "low", source="backfill") == first

    assert (row(engine, first).priority, row(engine, first).source) == ("high", "api")


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
        with autocommit(engine) as looking:
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
