"""The gateway as a process: limits, headers, bodies, health, and how it starts and stops."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from sqlalchemy import create_engine, make_url

from moonx_pipeline_tests.fixtures.dagster import eventually
from moonx_pipeline_tests.fixtures.gateway import (
    SECRET,
    GatewayProcess,
    gateway_environment,
    running_gateway,
    token_of,
)
from moonx_pipeline_tests.support.forked import run_module


@pytest.fixture
def strict(database_url: str, tmp_path: Path) -> Iterator[GatewayProcess]:
    """A gateway with narrow limits."""
    narrow = {
        "GATEWAY_USER_MAX_REQUESTS": "3",
        "RATE_LIMIT_MAX_REQUESTS": "4",
        "GATEWAY_MAX_BODY_BYTES": "2000",
        "GATEWAY_CORS_ORIGINS": "https://app.example",
    }
    with running_gateway(database_url, tmp_path, **narrow) as running:
        yield running


def status(gateway: GatewayProcess, token: str | None) -> requests.Response:
    return gateway.ask("GET", "/api/v1/sync/status", token)


def test_a_user_and_an_address_without_a_token_are_limited_apart(strict: GatewayProcess) -> None:
    assert [status(strict, token_of("ann")).status_code for _ in range(3)] == [200] * 3
    limited = status(strict, token_of("ann"))
    assert (limited.status_code, limited.json()["error"]["code"]) == (429, "too_many_requests")
    assert 1 <= int(limited.headers["Retry-After"]) <= 60
    assert status(strict, token_of("bob")).status_code == 200

    assert [status(strict, f"guess {number}").status_code for number in range(4)] == [401] * 4
    assert [status(strict, token).status_code for token in ("guess", None)] == [429, 429]


def test_logos_that_have_to_be_fetched_are_limited_by_address_and_apart_from_users(strict: GatewayProcess) -> None:
    def logo(number: int, **headers: str) -> requests.Response:
        return strict.ask("GET", f"/api/v1/logos/1/0x{number:040x}", headers=headers)

    assert [logo(number).status_code for number in range(3)] == [404] * 3
    limited = logo(3)
    assert (limited.status_code, limited.json()["error"]["code"]) == (429, "too_many_requests")
    assert 1 <= int(limited.headers["Retry-After"]) <= 60
    # What is known here needs no fetch; another address has its own limit, and so has a user.
    assert logo(0).status_code == 404
    assert logo(4, **{"X-Forwarded-For": "192.0.2.7"}).status_code == 404
    assert status(strict, token_of("ann")).status_code == 200


def test_guesses_from_an_address_lock_nobody_out_who_has_a_good_token(strict: GatewayProcess) -> None:
    for number in range(6):
        refused = status(strict, f"guess {number}")

    assert (refused.status_code, int(refused.headers["Retry-After"]) > 1) == (429, True)
    assert status(strict, token_of("cyd")).status_code == 200


def test_sessions_that_have_ended_are_not_counted_as_guesses(strict: GatewayProcess) -> None:
    answers = [status(strict, token_of("ann", seconds=-60)) for _ in range(8)]

    assert {(answer.status_code, answer.json()["error"]["code"]) for answer in answers} == {(401, "token_expired")}
    assert status(strict, "guess").status_code == 401


def test_a_body_is_bounded_whatever_length_it_claims(strict: GatewayProcess) -> None:
    large = b'{"wallets": ["' + b"x" * 3000 + b'"]}'
    headers = {"Content-Type": "application/json"}

    told = strict.ask("PUT", "/api/v1/wallets", token_of("ann"), data=large, headers=headers)
    chunked = strict.ask("PUT", "/api/v1/wallets", token_of("ann"), data=iter([large]), headers=headers)

    assert [told.status_code, chunked.status_code] == [413, 413]
    assert told.json()["error"]["code"] == "too_large"


def test_only_named_origins_may_use_it_from_a_browser(strict: GatewayProcess) -> None:
    def preflight(origin: str) -> requests.Response:
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST",
                 "Access-Control-Request-Headers": "authorization,idempotency-key"}  # fmt: skip
        return strict.ask("OPTIONS", "/api/v1/sync/trigger", headers=asked)

    allowed = preflight("https://app.example").headers
    assert allowed["Access-Control-Allow-Origin"] == "https://app.example"
    assert "Access-Control-Allow-Credentials" not in allowed
    assert "Access-Control-Allow-Origin" not in preflight("https://evil.example").headers


def test_every_answer_has_a_name_and_headers_that_protect_the_page(gateway: GatewayProcess) -> None:
    named = gateway.ask("GET", "/api/v1/nothing-here", headers={"X-Request-Id": "mine-1"})
    assert (named.status_code, named.headers["X-Request-Id"]) == (404, "mine-1")
    assert named.json()["error"]["requestId"] == "mine-1"

    forged = gateway.ask("GET", "/health/live", headers={"X-Request-Id": "a b\tc"})
    assert re.fullmatch("[0-9a-f]{32}", forged.headers["X-Request-Id"])
    for answer in (named, forged, gateway.ask("GET", "/"), gateway.ask("GET", "/docs")):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in gateway.ask("GET", "/").headers["Content-Security-Policy"]


def test_the_description_asks_nobody_else_for_anything(gateway: GatewayProcess) -> None:
    page = gateway.ask("GET", "/docs").text

    for address in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert address.startswith("/")
        assert gateway.ask("GET", address).status_code == 200
    assert gateway.ask("GET", "/openapi.json").json()["info"]["title"] == "MoonX portfolio API"


def test_a_method_that_a_route_does_not_have_is_said_to_be_so(gateway: GatewayProcess) -> None:
    answer = gateway.ask("DELETE", "/api/v1/portfolio", token_of("ann"))

    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")
    assert answer.json()["error"]["code"] == "method_not_allowed"
    wallets = gateway.ask("DELETE", "/api/v1/wallets", token_of("ann"))
    assert (wallets.status_code, wallets.headers["Allow"]) == (405, "GET, PUT")


@pytest.mark.parametrize("path", ["/api", "/api/v1/portfolio", "/api/v1/sync/status", "/api/v1/nothing"])
@pytest.mark.parametrize("user", ["ann", None])
def test_the_api_answers_head_as_get_without_the_body(gateway: GatewayProcess, path: str, user: str | None) -> None:
    token = token_of(user) if user else None

    head, get = (gateway.ask(method, path, token) for method in ("HEAD", "GET"))

    assert head.status_code == get.status_code
    assert head.content == b""
    for name in ("Content-Type", "Content-Length", "Cache-Control", "X-Content-Type-Options"):
        assert head.headers.get(name) == get.headers.get(name), name


def test_the_page_answers_head_and_no_slash_is_redirected_by_the_named_host(gateway: GatewayProcess) -> None:
    assert gateway.ask("HEAD", "/").status_code == gateway.ask("GET", "/").status_code

    answer = gateway.ask("GET", "/admin/", headers={"Host": "evil.example"}, allow_redirects=False)
    assert (answer.status_code, answer.headers.get("Location")) == (404, None)


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 5_000], ids=["half", "no UTF-8", "nested"])
def test_a_body_that_is_no_json_is_a_bad_request(gateway: GatewayProcess, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = gateway.ask("PUT", "/api/v1/wallets", token_of("ann"), data=body, headers=headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
    assert "details" not in answer.json()["error"]


@pytest.mark.parametrize(
    "body",
    [{"wallets": ["x" * 500_000]}, {"x" * 500_000: 1}, {f"x{number}": 1 for number in range(40_000)}],
    ids=["a long address", "a long name", "many names"],
)
def test_a_refusal_does_not_send_the_body_back(gateway: GatewayProcess, body: dict[str, object]) -> None:
    answer = gateway.ask("PUT", "/api/v1/wallets", token_of("ann"), json=body)

    assert answer.status_code == 422
    assert len(answer.content) < 6_000


def test_a_nul_in_a_text_is_refused_before_the_database(gateway: GatewayProcess) -> None:
    root = token_of("root", role="admin")
    paused = gateway.ask("PUT", "/api/v1/sync/pause", root, json={"action": "pause", "reason": "a\0b"})
    breaker = gateway.ask("POST", "/api/v1/breakers/a%00b/reset", root)

    assert (paused.status_code, breaker.status_code) == (422, 422)


def test_no_secret_is_in_the_log(gateway: GatewayProcess) -> None:
    token = token_of("ann-in-the-log")
    gateway.ask("GET", "/api/v1/portfolio", token)
    gateway.ask("GET", "/api/v1/portfolio", "a-token-that-is-none")
    gateway.ask("GET", "/api/v1/portfolio", params={"token": "in-the-query"})

    assert "/api/v1/portfolio" in gateway.log
    for secret in (token, SECRET, "a-token-that-is-none", "in-the-query"):
        assert secret not in gateway.log


def test_health_tells_of_each_part_and_what_is_needed_of_them(database_url: str, tmp_path: Path) -> None:
    with running_gateway(database_url, tmp_path, DAGSTER_GRAPHQL_URL="http://127.0.0.1:9/graphql") as running:
        ready = running.ask("GET", "/health/ready").json()
        assert ready["status"] == "ready"
        parts = ready["dependencies"]
        assert parts["database"]["ok"]
        assert parts["events"]["ok"]
        assert (parts["dagster"]["ok"], parts["dagster"]["needed"]) == (False, False)
        assert (parts["workers"]["ok"], parts["daemon"]["ok"]) == (False, False)

        server, name = make_url(database_url).set(database="postgres"), make_url(database_url).database
        admin = create_engine(server, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            connection.exec_driver_sql(
                f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{name}'"
            )

        def away() -> None:
            answer = running.ask("GET", "/health/ready")
            assert (answer.status_code, answer.json()["dependencies"]["database"]["ok"]) == (503, False)

        eventually(away)
        assert running.ask("GET", "/health/live").json() == {"status": "live"}
        failed = status(running, token_of("ann"))
        assert (failed.status_code, failed.json()["error"]["code"]) == (503, "unavailable")
        assert failed.headers["Retry-After"] == "5"

        with admin.connect() as connection:
            connection.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        admin.dispose()
        running.until_ready()
        assert status(running, token_of("ann")).status_code == 200


def test_it_stops_in_order_and_a_taken_port_is_named(database_url: str, tmp_path: Path) -> None:
    with running_gateway(database_url, tmp_path) as running:
        second = run_module("moonx_pipeline", "gateway", env=running.environment, cwd=tmp_path)
        assert second.returncode == 1
        assert f"can't listen at 127.0.0.1:{running.port}" in second.stderr
        assert "set GATEWAY_PORT" in second.stderr
        assert running.stop() == 0


def test_it_does_not_start_in_production_without_a_key(database_url: str, tmp_path: Path) -> None:
    environment = gateway_environment(database_url, tmp_path, MOONX_ENV="production")
    del environment["JWT_SECRET"]

    done = run_module("moonx_pipeline", "gateway", env={**os.environ, **environment}, cwd=tmp_path)

    assert (done.returncode, "set JWT_SECRET" in done.stderr) == (1, True)
