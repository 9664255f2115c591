"""Syncs by HTTP: asking, the limit, looking, cancelling; and what operators do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from moonx_pipeline_tests.fixtures.gateway import GatewayProcess, token_of

WALLET = "0x" + "d4" * 20


@pytest.fixture
def ann(gateway: GatewayProcess) -> str:
    return gateway.register(f"ann-{uuid4()}", WALLET)


def trigger(gateway: GatewayProcess, user_id: str, **options):
    return gateway.ask("POST", "/api/v1/sync/trigger", token_of(user_id), **options)


def end_request(gateway: GatewayProcess, user_id: str) -> None:
    with gateway.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE sync_requests SET status = 'done', completed_at = now() WHERE user_id = %s", (user_id,)
        )


def test_asking_answers_at_once_with_what_is_left_of_the_limit(gateway: GatewayProcess, ann: str) -> None:
    answer = trigger(gateway, ann, json={"priority": "high", "syncType": "portfolio", "forceRefresh": True})

    assert answer.status_code == 202
    data = answer.json()["data"]
    assert (data["syncType"], data["priority"], data["remainingRequests"]) == ("portfolio", "high", 4)
    reset = datetime.fromisoformat(data["resetTime"])
    assert timedelta(minutes=14) < reset - datetime.now(UTC) <= timedelta(minutes=15)
    status = gateway.get("/sync/status", ann)
    assert (status["pendingRequestId"], status["remainingRequests"]) == (data["requestId"], 4)
    assert status["chains"][0] == {"chainId": 1, "name": "Ethereum"}
    assert [chain["chainId"] for chain in status["chains"]] == [1, 137, 10, 42161, 8453]


def test_the_same_key_gives_the_same_answer_however_often_it_is_sent_at_once(gateway: GatewayProcess, ann: str) -> None:
    def ask(_: int):
        return trigger(gateway, ann, headers={"Idempotency-Key": "one click"}).json()["data"]

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(8)))

    assert len({answer["requestId"] for answer in answers}) == 1
    assert gateway.get("/sync/status", ann)["remainingRequests"] == 4
    end_request(gateway, ann)
    assert ask(0)["requestId"] == answers[0]["requestId"]


def test_a_sync_that_waits_serves_whoever_asks_meanwhile(gateway: GatewayProcess, ann: str) -> None:
    first, second = trigger(gateway, ann).json()["data"], trigger(gateway, ann).json()["data"]
    refreshed = gateway.ask("POST", "/api/v1/portfolio/refresh", token_of(ann)).json()["data"]

    assert first["requestId"] == second["requestId"] == refreshed["requestId"]
    assert (second["remainingRequests"], refreshed["priority"]) == (4, "high")


def test_the_sixth_within_a_quarter_of_an_hour_is_refused_until_a_time(gateway: GatewayProcess, ann: str) -> None:
    for left in (4, 3, 2, 1, 0):
        assert trigger(gateway, ann).json()["data"]["remainingRequests"] == left
        end_request(gateway, ann)

    answer = trigger(gateway, ann, json={"forceRefresh": True})

    assert answer.status_code == 429
    error = answer.json()["error"]
    assert (error["code"], error["remainingRequests"]) == ("rate_limited", 0)
    seconds = (datetime.fromisoformat(error["resetTime"]) - datetime.now(UTC)).total_seconds()
    assert abs(int(answer.headers["Retry-After"]) - seconds) <= 2
    status = gateway.get("/sync/status", ann)
    assert (status["remainingRequests"], status["maxRequests"]) == (0, 5)
    assert gateway.ask("POST", "/api/v1/portfolio/refresh", token_of(ann)).status_code == 429


def test_somebody_without_wallets_is_told_so(gateway: GatewayProcess) -> None:
    answer = trigger(gateway, "nobody-here")

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "no_wallets")
    assert "moonx" not in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "body", ['{"priority": "urgent"}', '{"priority": null}', '{"unknown": 1}', "[]", '{"forceRefresh": 5}']
)
def test_a_body_that_can_not_be_used_asks_for_nothing(gateway: GatewayProcess, ann: str, body: str) -> None:
    answer = trigger(gateway, ann, data=body, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_request")
    assert gateway.get("/sync/status", ann)["pendingRequestId"] is None


def test_an_answer_names_the_priority_of_the_request_that_serves(gateway: GatewayProcess, ann: str) -> None:
    first = trigger(gateway, ann, json={"priority": "low"}).json()["data"]
    raised = trigger(gateway, ann, json={"priority": "high"}).json()["data"]
    lower = trigger(gateway, ann, json={"priority": "low"}).json()["data"]
    assert (raised["requestId"], raised["priority"], lower["priority"]) == (first["requestId"], "high", "high")


@pytest.mark.parametrize(
    ("other", "path"),
    [({"priority": "high"}, "sync/trigger"), ({"syncType": "full"}, "sync/trigger"), ({}, "portfolio/refresh")],
)
def test_something_else_by_the_same_key_is_refused(gateway: GatewayProcess, ann: str, other: object, path: str) -> None:
    headers = {"Idempotency-Key": "mine"}
    first = trigger(gateway, ann, headers=headers).json()["data"]
    refused = gateway.ask("POST", f"/api/v1/{path}", token_of(ann), json=other, headers=headers)

    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "idempotency_key_reused")
    assert "'mine'" in refused.json()["error"]["message"]
    # As it was asked for, whether its defaults are said or not.
    again = trigger(gateway, ann, json={"priority": "medium"}, headers=headers).json()["data"]
    assert again["requestId"] == first["requestId"]


def test_a_key_from_before_its_request_was_kept_serves_any_body(gateway: GatewayProcess, ann: str) -> None:
    headers = {"Idempotency-Key": "old"}
    first = trigger(gateway, ann, headers=headers).json()["data"]
    with gateway.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE sync_request_keys SET asked = NULL WHERE user_id = %s", (ann,))

    again = trigger(gateway, ann, json={"priority": "low"}, headers=headers).json()["data"]
    assert (again["requestId"], again["priority"]) == (first["requestId"], "medium")


def test_operations_are_paged_by_the_last_of_a_page(gateway: GatewayProcess, ann: str) -> None:
    with gateway.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO sync_operations (id, user_id, status, trigger, started_at, completed_at) "
            "SELECT gen_random_uuid(), %s, 'completed', 'manual', now() - make_interval(mins => n / 2), now() "
            "FROM generate_series(1, 7) n",
            (ann,),
        )
    whole = [row["syncOperationId"] for row in gateway.get("/sync/operations", ann)]

    paged: list[str] = []
    while page := gateway.get("/sync/operations", ann, limit=3, **({"before": paged[-1]} if paged else {})):
        paged += [row["syncOperationId"] for row in page]

    assert (paged, len(paged)) == (whole, 7)
    unknown = gateway.ask("GET", "/api/v1/sync/operations", token_of("bob"), params={"before": whole[0]})
    assert unknown.status_code == 404


def test_a_request_that_waits_is_cancelled_by_its_id_once(gateway: GatewayProcess, ann: str) -> None:
    request_id = trigger(gateway, ann).json()["data"]["requestId"]
    path = f"/api/v1/sync/operations/{request_id}"

    assert gateway.ask("DELETE", path, token_of(ann)).status_code == 200
    assert gateway.get("/sync/status", ann)["pendingRequestId"] is None
    again = gateway.ask("DELETE", path, token_of(ann))
    assert (again.status_code, again.json()["error"]["code"]) == (409, "ended")


def test_operations_are_listed_by_status_and_day_and_limit(gateway: GatewayProcess, ann: str) -> None:
    with gateway.engine.begin() as connection:
        for days, status in ((0, "completed"), (1, "failed"), (5, "completed"), (40, "completed")):
            connection.exec_driver_sql(
                "INSERT INTO sync_operations (id, user_id, status, trigger, started_at, completed_at, dagster_run_id) "
                "VALUES (gen_random_uuid(), %s, %s, 'manual', now() - make_interval(days => %s), now(), 'run-1')",
                (ann, status, days),
            )

    assert len(gateway.get("/sync/operations", ann)) == 3
    assert len(gateway.get("/sync/operations", ann, days=90)) == 4
    assert len(gateway.get("/sync/operations", ann, limit=1)) == 1
    (failed,) = gateway.get("/sync/operations", ann, status="failed")
    detail = gateway.get(f"/sync/operations/{failed['syncOperationId']}", ann)
    assert (detail["chains"], detail["workerId"]) == ([], None)
    assert detail["dagsterRunUrl"].endswith("/runs/run-1")
    for wrong in ({"limit": 101}, {"limit": 0}, {"days": 91}, {"status": "odd"}):
        assert gateway.ask("GET", "/api/v1/sync/operations", token_of(ann), params=wrong).status_code == 422


def as_operator(gateway: GatewayProcess, method: str, path: str, **options):
    return gateway.ask(method, f"/api/v1{path}", token_of("root", role="admin"), **options)


def test_operators_pause_and_resume_all_syncs_and_users_are_told(gateway: GatewayProcess, ann: str) -> None:
    assert as_operator(gateway, "PUT", "/sync/pause", json={"action": "pause"}).status_code == 422
    try:
        paused = as_operator(gateway, "PUT", "/sync/pause", json={"action": "pause", "reason": "moving house"})
        assert paused.json()["data"]["pause"]["by"] == "root"
        assert gateway.get("/sync/status", ann)["pause"]["reason"] == "moving house"
        asked = trigger(gateway, ann)
        assert asked.status_code == 202
        assert "moving house" in asked.json()["message"]
    finally:
        resumed = as_operator(gateway, "PUT", "/sync/pause", json={"action": "resume"})
    assert resumed.json()["data"] == {"paused": False, "pause": None}
    assert gateway.get("/sync/status", ann)["pause"] is None


def test_operators_ask_for_many_at_once(gateway: GatewayProcess, ann: str) -> None:
    body = {"userIds": [ann, "nobody-here"], "priority": "low"}
    data = as_operator(gateway, "POST", "/sync/bulk", json=body).json()["data"]

    assert (data["requested"], [row["userId"] for row in data["requests"]]) == (1, [ann])
    assert data["refused"] == [{"userId": "nobody-here", "reason": "no_wallets"}]
    assert gateway.get("/sync/status", ann)["remainingRequests"] == 5


def test_operators_see_breakers_and_close_them(gateway: GatewayProcess) -> None:
    with gateway.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO circuit_breakers (key, state, failure_count, opened_at, retry_at, cause, last_error) "
            "VALUES ('alchemy:137', 'open', 5, now(), now() + interval '1 minute', 'failures', 'It timed out.')"
        )

    (breaker,) = as_operator(gateway, "GET", "/breakers").json()["data"]
    assert (breaker["key"], breaker["state"], breaker["lastError"]) == ("alchemy:137", "open", "It timed out.")
    assert as_operator(gateway, "POST", "/breakers/alchemy:137/reset").json()["data"]["changed"]
    assert not as_operator(gateway, "POST", "/breakers/alchemy:137/reset").json()["data"]["changed"]
    assert as_operator(gateway, "POST", "/breakers/alchemy:7/reset").status_code == 404


def test_operators_see_what_waits_and_what_was(gateway: GatewayProcess, ann: str) -> None:
    trigger(gateway, ann)

    queue = as_operator(gateway, "GET", "/sync/queue").json()["data"]
    assert queue["requests"]["pending"] >= 1
    assert queue["dagsterUrl"].startswith("http://127.0.0.1:")
    assert as_operator(gateway, "GET", "/sync/stats", params={"days": 2}).status_code == 200
