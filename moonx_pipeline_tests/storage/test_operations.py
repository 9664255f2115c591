from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from sqlalchemy import Engine

from moonx_pipeline.storage.portfolios.users import add_wallets, list_users, remove_user, wallets_of
from moonx_pipeline.storage.requests.queue import add_request, refuse_request
from moonx_pipeline.storage.syncs.opening import lock_requested, open_operations
from moonx_pipeline.storage.syncs.operations import ChainStatusRow, end_operations, lock_users
from moonx_pipeline_tests.support.operations import end, status_of
from moonx_pipeline_tests.support.rows import NOON, OTHER_WALLET, WALLET, begin, new_operation, register


def test_each_sync_takes_the_next_number_and_a_repeated_one_keeps_its_own(engine: Engine) -> None:
    register(engine, "ann")
    first, first_number = begin(engine, "ann")
    _, second_number = begin(engine, "ann")

    with engine.begin() as connection:
        found = lock_requested(connection, "ann", first)
        repeated = open_operations(connection, [new_operation("ann", operation_id=first)], NOON)[first]

    assert second_number == first_number + 1
    assert (found.existing_status, repeated.fence, repeated.retry) == ("running", first_number, 1)


def test_opening_for_an_unknown_user_writes_nothing(engine: Engine) -> None:
    with engine.begin() as connection:
        row = lock_requested(connection, "nobody", uuid4())
        count = connection.exec_driver_sql("SELECT count(*) FROM user_sync_status").scalar_one()

    assert (row.wallets, count) == ((), 0)


def test_wallets_put_there_by_another_system_can_be_synced(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO user_wallets (user_id, wallet_address) VALUES ('zoe', %s)", (WALLET,))

    operation, number = begin(engine, "zoe")

    assert (number, status_of(engine, "zoe").sync_status) == (1, "running")
    end(engine, operation, "zoe")
    assert status_of(engine, "zoe").sync_status == "completed"


def test_an_ended_operation_stays_as_it_is(engine: Engine) -> None:
    register(engine, "ann")
    operation, _ = begin(engine, "ann")
    end(engine, operation)

    end(engine, operation, status="failed", error_message="later")

    with engine.connect() as connection:
        row = connection.exec_driver_sql("SELECT status, error_message FROM sync_operations").one()
    assert tuple(row) == ("completed", None)


def test_a_failure_keeps_the_total_and_counts_and_a_success_clears_it(engine: Engine) -> None:
    register(engine, "ann")
    first, _ = begin(engine, "ann")
    end(engine, first)
    second, _ = begin(engine, "ann")
    later = NOON + timedelta(minutes=5)

    failed = {"status": "failed", "chains_synced": 0, "total_value_usd": None, "failures": 1, "version": 1}
    end(engine, second, completed_at=later, error_message="All is dark.", **failed)

    row = status_of(engine, "ann")
    assert (row.sync_status, row.total_value_usd, row.last_sync_at) == ("failed", Decimal("1.25"), NOON)
    assert (row.consecutive_failures, row.last_error_message, row.last_error_at) == (1, "All is dark.", later)
    third, _ = begin(engine, "ann")
    end(engine, third)
    row = status_of(engine, "ann")
    assert (row.consecutive_failures, row.last_error_message, row.last_error_at) == (0, None, None)


def test_a_failed_chain_is_stale_with_its_last_success_and_never_before_it(engine: Engine) -> None:
    register(engine, "ann")
    later = NOON + timedelta(hours=1)

    def attempt(chain_id: int, ok: bool, at) -> ChainStatusRow:
        error = None if ok else "It did not answer."
        return ChainStatusRow("ann", WALLET, chain_id, at if ok else None, at, error, "alchemy", None)

    with engine.begin() as connection:
        end_operations(connection, [], [attempt(1, True, NOON), attempt(137, False, NOON)])
        end_operations(connection, [], [attempt(1, False, later), attempt(137, False, later)])
        rows = connection.exec_driver_sql(
            "SELECT chain_id, status, last_success_at, last_attempt_at, error FROM user_chain_status ORDER BY chain_id"
        ).all()

    assert [tuple(row) for row in rows] == [
        (1, "stale", NOON, later, "It did not answer."),
        (137, "never", None, later, "It did not answer."),
    ]


def test_what_is_known_of_a_reading_stays_until_the_chain_is_read_again(engine: Engine) -> None:
    register(engine, "ann")
    later = NOON + timedelta(hours=1)

    def after(**reading: Any) -> tuple[Any, ...]:
        row = {"synced_at": None, "attempted_at": later, "error": None, "source": "alchemy", "coverage": None}
        with engine.begin() as connection:
            end_operations(connection, [], [ChainStatusRow("ann", WALLET, 1, **{**row, **reading})])
            found = connection.exec_driver_sql(
                "SELECT status, last_success_at, unread, block, resume_key, resume_since FROM user_chain_status"
            )
            return tuple(found.one())

    part = {"resume_key": "0xa", "resume_since": NOON, "unread": 2}
    assert after(error="Read in part.", **part) == ("never", None, 2, None, "0xa", NOON)
    assert after(error="It did not answer.") == ("never", None, 2, None, "0xa", NOON)
    assert after(synced_at=NOON, block=7) == ("fresh", NOON, 0, 7, None, None)
    assert after(error="It did not answer.") == ("stale", NOON, 0, 7, None, None)
    assert after(error="Read in part.", **part) == ("stale", NOON, 2, None, "0xa", NOON)


def test_users_are_locked_in_one_order_and_unknown_ones_left_out(engine: Engine) -> None:
    register(engine, "bob")
    register(engine, "ann")

    with engine.begin() as connection:
        locked = lock_users(connection, [("bob", uuid4()), ("nobody", uuid4()), ("ann", uuid4())])

    assert list(locked) == ["ann", "bob"]


def test_a_change_of_wallets_outdates_syncs_that_read_the_old_ones(engine: Engine) -> None:
    register(engine, "ann")
    operation, number = begin(engine, "ann")

    with engine.begin() as connection:
        add_wallets(connection, "ann", [OTHER_WALLET])
        locked = lock_users(connection, [("ann", operation)])

    assert locked["ann"].stored_fence > number


def test_wallets_keep_the_order_in_which_they_came(engine: Engine) -> None:
    with engine.begin() as connection:
        assert add_wallets(connection, "ann", [OTHER_WALLET, WALLET]) == (OTHER_WALLET, WALLET)
        assert add_wallets(connection, "ann", [WALLET]) == ()
        assert wallets_of(connection, "ann") == (OTHER_WALLET, WALLET)


def test_a_removed_user_is_forgotten_but_his_version_goes_on(engine: Engine) -> None:
    register(engine, "ann")
    operation, _ = begin(engine, "ann")
    end(engine, operation, version=3)

    with engine.begin() as connection:
        assert remove_user(connection, "ann")
        assert not remove_user(connection, "ann")
        assert list_users(connection) == []
        assert lock_requested(connection, "ann", uuid4()).wallets == ()
        add_wallets(connection, "ann", [WALLET])
        assert lock_requested(connection, "ann", uuid4()).version == 4


def test_a_user_has_one_request_that_waits_whatever_its_key(engine: Engine) -> None:
    with engine.begin() as connection:
        one = add_request(connection, "ann", source="api", priority="high", idempotency_key="k1")
        same = add_request(connection, "ann", source="api", priority="high", idempotency_key="k1")
        other_user = add_request(connection, "bob", source="api", priority="high", idempotency_key="k1")
        without_key = {add_request(connection, "ann", source="cli", priority="low") for _ in range(2)}

    assert {one} == {same} == without_key
    assert one != other_user


def test_a_refused_request_says_why(engine: Engine) -> None:
    with engine.begin() as connection:
        request = add_request(connection, "ann", source="api", priority="high")
        refuse_request(connection, request, "No wallets.")
        row = connection.exec_driver_sql("SELECT status, reason, completed_at IS NOT NULL FROM sync_requests").one()

    assert tuple(row) == ("refused", "No wallets.", True)
