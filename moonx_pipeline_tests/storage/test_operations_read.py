"""A user's syncs as he looks them up, and how they stand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from moonx_pipeline.domain.chains import DEFAULT_CHAINS
from moonx_pipeline.domain.schedule import Intervals
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import PLAIN_WALLET, SPAM_WALLET
from moonx_pipeline.storage.portfolios.sync_state import SyncState, read_sync_state
from moonx_pipeline.storage.requests.pause import pause
from moonx_pipeline.storage.requests.queue import add_request
from moonx_pipeline.storage.syncs.operation_reads import is_own, list_operations, read_operation
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline.views.operations import operation_detail_json, operation_json
from moonx_pipeline.views.status import freshness, status_json
from moonx_pipeline_tests.support.rows import begin
from moonx_pipeline_tests.support.syncs import operation, portfolio, register, status, sync

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def listed(engine: Engine, user_id: str = "ann", **more):
    with engine.connect() as connection:
        return list_operations(connection, user_id, **{"limit": 100, "status": None, "days": 90, **more})


def state(engine: Engine, user_id: str = "ann") -> SyncState:
    with engine.connect() as connection:
        return read_sync_state(connection, user_id)


def shown(found: SyncState, now: datetime = NOW, **limit) -> dict:
    limit = {"remaining": 5, "maximum": 5, "reset_at": None, **limit}
    return status_json(found, intervals=Intervals(), now=now, chains=DEFAULT_CHAINS, **limit)


def store_operations(engine: Engine, user_id: str, *rows: tuple[float, str]) -> None:
    """Ended syncs that began so many days ago, with their statuses."""
    with engine.begin() as connection:
        for days, ended in rows:
            connection.exec_driver_sql(
                "INSERT INTO sync_operations (id, user_id, status, trigger, started_at, completed_at) "
                "VALUES (gen_random_uuid(), %s, %s, 'schedule', now() - %s, now())",
                (user_id, ended, timedelta(days=days)),
            )


def test_the_newest_come_first_within_days_status_and_limit_and_of_one_user_only(engine: Engine) -> None:
    store_operations(engine, "ann", (3, "failed"), (1, "completed"), (2, "partial"), (40, "completed"))
    store_operations(engine, "bob", (1, "failed"))

    assert [row.status for row in listed(engine)] == ["completed", "partial", "failed", "completed"]
    assert [row.status for row in listed(engine, days=30)] == ["completed", "partial", "failed"]
    assert [row.status for row in listed(engine, limit=1)] == ["completed"]
    assert [row.status for row in listed(engine, status="failed")] == ["failed"]
    assert listed(engine, "nobody") == []


def test_one_sync_tells_how_each_chain_was_read_and_what_it_cost(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    with engine.begin() as connection:
        request = add_request(connection, "ann", source="api", priority="high")
    simulator.fault("partial_error", network="polygon-mainnet")
    simulator.fault("outage", network="polygon-mainnet", endpoint="eth_getBalance")
    sync(runtime, request_id=request, run_id="a-run")
    stored = operation(engine)

    with engine.connect() as connection:
        found = read_operation(connection, "ann", stored.id)
        assert read_operation(connection, "bob", stored.id) is None
        assert read_operation(connection, "ann", uuid4()) is None
    data = operation_detail_json(found, "http://dagster.example/")

    assert {**operation_json(found.operation)}.items() <= data.items()
    assert (data["status"], data["priority"], data["trigger"], data["errorCode"]) == (
        "partial",
        "high",
        "manual",
        "chains_failed",
    )
    assert data["totalValueUsd"] == str(portfolio(engine).total_value_usd).rstrip("0")
    assert {(chain["chainId"], chain["outcome"]) for chain in data["chains"]} == {
        (1, "ok"), (137, "failed"), (10, "ok"), (42161, "ok"), (8453, "ok"),
    }  # fmt: skip
    (failed,) = (chain for chain in data["chains"] if chain["outcome"] == "failed")
    assert (failed["walletAddress"], failed["tokens"]) == (PLAIN_WALLET, 0)
    assert failed["reason"]
    assert (data["requestId"], data["dagsterRunId"]) == (str(request), "a-run")
    assert data["dagsterRunUrl"] == "http://dagster.example/runs/a-run"
    assert operation_detail_json(found, None)["dagsterRunUrl"] is None
    assert data["providerCalls"] > 0 < data["computeUnits"]


def test_times_of_a_stored_report_are_sent_as_all_others(engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", PLAIN_WALLET)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO circuit_breakers (key, state, opened_at, retry_at, cause) "
            "VALUES ('alchemy:137', 'open', now(), '2126-03-02 12:00:00.123456+00', 'failures')"
        )
    sync(runtime)

    with engine.connect() as connection:
        found = read_operation(connection, "ann", operation(engine).id)
    chains = {chain["chainId"]: chain for chain in operation_detail_json(found, None)["chains"]}

    assert (chains[137]["outcome"], chains[137]["retryAt"]) == ("skipped", "2126-03-02T12:00:00.123Z")
    assert chains[1]["retryAt"] is None


def test_a_sync_under_way_has_no_chains_yet(engine: Engine) -> None:
    register(engine, "ann")
    operation_id, _ = begin(engine, "ann")

    with engine.connect() as connection:
        found = read_operation(connection, "ann", operation_id)

    data = operation_detail_json(found, "http://dagster.example")
    assert (data["chains"], data["completedAt"], data["totalValueUsd"], data["dagsterRunUrl"]) == ([], None, None, None)


def test_syncs_and_requests_are_their_users_own(engine: Engine) -> None:
    register(engine, "ann")
    operation_id, _ = begin(engine, "ann")
    with engine.begin() as connection:
        request = add_request(connection, "ann", source="api", priority="high")

        assert is_own(connection, "ann", operation_id)
        assert is_own(connection, "ann", request)
        assert not is_own(connection, "bob", operation_id)
        assert not is_own(connection, "bob", request)
        assert not is_own(connection, "ann", uuid4())


def test_of_somebody_who_was_never_seen_there_is_nothing(engine: Engine) -> None:
    assert shown(state(engine, "nobody"), remaining=5, maximum=5) == {
        "userId": "nobody",
        "lastSyncAt": None,
        "syncStatus": "never",
        "isRunning": False,
        "activeSyncOperations": 0,
        "totalTokens": 0,
        "totalValueUsd": None,
        "syncFrequency": 5,
        "nextScheduledSync": None,
        "remainingRequests": 5,
        "maxRequests": 5,
        "resetTime": None,
        "pendingRequestId": None,
        "runningOperation": None,
        "lastError": None,
        "pause": None,
        "chains": [{"chainId": chain.id, "name": chain.name} for chain in DEFAULT_CHAINS],
    }


def test_a_user_who_was_read_has_tokens_without_spam_a_total_and_a_next_time(engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", SPAM_WALLET)
    sync(runtime)
    row = status(engine)

    found = state(engine)
    data = shown(found, now=row.last_sync_at, reset_at=NOW, remaining=4)

    assert data["totalTokens"] == sum(not p.is_spam for p in portfolio(engine).positions) < 3000
    assert (found.total_value_usd, found.last_sync_at) == (row.total_value_usd, row.last_sync_at)
    assert (data["syncStatus"], data["isRunning"], data["remainingRequests"]) == ("current", False, 4)
    assert data["resetTime"] == "2026-03-02T12:00:00.000Z"
    assert found.next_sync_at == row.next_sync_at
    assert data["nextScheduledSync"] is not None
    assert shown(found, now=row.last_sync_at + timedelta(days=2))["nextScheduledSync"] is None


def test_what_runs_waits_and_went_wrong_is_told(engine: Engine, runtime: Runtime, simulator: RunningSimulator) -> None:
    register(engine, "ann", PLAIN_WALLET)
    simulator.fault("outage")
    sync(runtime)
    first, _ = begin(engine, "ann")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE sync_operations SET started_at = started_at - interval '1 minute' WHERE id = %s", (first,)
        )
    second, _ = begin(engine, "ann")
    with engine.begin() as connection:
        request = add_request(connection, "ann", source="api", priority="high")
        pause(connection, "Maintenance.", "ops")

    data = shown(state(engine))

    assert (data["isRunning"], data["activeSyncOperations"]) == (True, 2)
    assert data["runningOperation"] == {
        "syncOperationId": str(second),
        "trigger": "manual",
        "startedAt": "2026-03-02T12:00:00.000Z",
    }
    assert data["nextScheduledSync"] is None  # it is decided when the running one ends
    assert data["pendingRequestId"] == str(request)
    assert data["lastError"]["message"].startswith("Not read: ")
    assert data["lastError"]["at"].endswith("Z")
    assert data["pause"]["reason"] == "Maintenance."
    assert data["pause"]["since"].endswith("Z")
    assert shown(state(engine, "bob"))["pause"] == data["pause"]


def test_who_is_disabled_has_no_next_time(engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE user_sync_status SET is_sync_enabled = false")

    found = state(engine)

    assert (found.is_enabled, found.next_sync_at) == (False, None)


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (None, "never"),
        (timedelta(0), "current"),
        (timedelta(minutes=4, seconds=59), "current"),
        (timedelta(minutes=5), "recent"),
        (timedelta(minutes=29, seconds=59), "recent"),
        (timedelta(minutes=30), "stale"),
        (timedelta(days=400), "stale"),
    ],
)
def test_freshness_is_by_age(age: timedelta | None, expected: str) -> None:
    assert freshness(None if age is None else NOW - age, NOW) == expected


def test_the_frequency_is_that_of_the_hour(engine: Engine) -> None:
    found = state(engine, "nobody")

    assert shown(found, now=NOW)["syncFrequency"] == 5
    assert shown(found, now=NOW.replace(hour=20))["syncFrequency"] == 15
