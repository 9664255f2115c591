"""Codes that sign in: each opens one session, within a minute, and nothing that is kept opens any."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from moonx_pipeline_tests.fixtures.gateway import GatewayProcess, running_gateway, token_of
from moonx_pipeline_tests.support.commands import moonx

SESSION = "/api/v1/session"


def code_of(gateway: GatewayProcess, token: str) -> str:
    answer = gateway.ask("POST", f"{SESSION}/codes", token)
    assert answer.status_code == 201, answer.text
    code: str = answer.json()["data"]["code"]
    return code


def redeem(gateway: GatewayProcess, code: str) -> tuple[int, dict]:
    answer = gateway.ask("POST", SESSION, json={"code": code})
    return answer.status_code, answer.json()


def test_a_code_becomes_the_token_that_asked_for_it(gateway: GatewayProcess) -> None:
    token = token_of("ann", role="admin")

    status, said = redeem(gateway, code_of(gateway, token))

    assert (status, said["data"]) == (200, {"token": token})
    assert gateway.ask("GET", "/api/v1/portfolio", said["data"]["token"]).status_code == 200


def test_a_code_that_is_used_is_refused_and_says_what_to_do(gateway: GatewayProcess) -> None:
    code = code_of(gateway, token_of("ann"))
    redeem(gateway, code)

    status, said = redeem(gateway, code)

    assert (status, said["error"]["code"]) == (401, "code_refused")
    assert "used up, or older than that. 'moonx token USER --link'" in said["error"]["message"]


def test_a_code_that_many_send_at_once_opens_one_session(gateway: GatewayProcess) -> None:
    code = code_of(gateway, token_of("ann"))

    with ThreadPoolExecutor(8) as many:
        found = list(many.map(lambda _: redeem(gateway, code)[0], range(8)))

    assert sorted(found) == [200, *[401] * 7]


def test_a_code_older_than_a_minute_is_refused(gateway: GatewayProcess) -> None:
    code = code_of(gateway, token_of("ann"))
    with gateway.engine.begin() as connection:
        left = connection.exec_driver_sql("SELECT max(expires_at) - now() <= '1 minute' FROM sign_in_codes").scalar()
        connection.exec_driver_sql("UPDATE sign_in_codes SET expires_at = now() - interval '1 second'")

    assert left is True
    assert redeem(gateway, code)[0] == 401


def test_what_the_database_keeps_of_a_code_holds_neither_it_nor_the_token(gateway: GatewayProcess) -> None:
    token = token_of("ann")
    code = code_of(gateway, token)

    with gateway.engine.connect() as connection:
        kept = connection.exec_driver_sql("SELECT s::text, encode(token, 'escape') FROM sign_in_codes s").all()

    assert kept
    assert code not in str(kept)
    assert not any(part in str(kept) for part in token.split("."))


def test_codes_that_nobody_used_are_gone_with_the_next_one(gateway: GatewayProcess) -> None:
    for _ in range(3):
        code_of(gateway, token_of("ann"))
    with gateway.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE sign_in_codes SET expires_at = now() - interval '1 second'")

    code_of(gateway, token_of("ann"))

    with gateway.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM sign_in_codes").scalar() == 1


def test_only_who_is_signed_in_gets_a_code(gateway: GatewayProcess) -> None:
    for token in (None, "garbage", token_of("ann", seconds=-3600)):
        assert gateway.ask("POST", f"{SESSION}/codes", token).status_code == 401


def test_who_guesses_codes_is_stopped(gateway: GatewayProcess, tmp_path: Path) -> None:
    with running_gateway(gateway.environment["DATABASE_URL"], tmp_path, RATE_LIMIT_MAX_REQUESTS="3") as narrow:
        found = [redeem(narrow, f"guess{number}")[0] for number in range(5)]

    assert found == [401, 401, 401, 429, 429]


@pytest.mark.parametrize(("role", "path"), [((), ""), (("--admin",), "admin")], ids=["user", "admin"])
def test_a_printed_link_holds_a_code_of_this_machines_gateway(
    gateway: GatewayProcess, tmp_path: Path, role: tuple[str, ...], path: str
) -> None:
    printed = moonx("token", "ann", "--link", *role, cwd=tmp_path, **gateway.environment)

    found = re.fullmatch(rf"http://127\.0\.0\.1:{gateway.port}/{path}#code=([\w-]+)\n", printed.stdout)
    assert found, printed
    status, said = redeem(gateway, found[1])
    assert status == 200
    answered = gateway.ask("GET", "/api/v1/sync/stats", said["data"]["token"])
    assert answered.status_code == (200 if role else 403)


def test_where_others_issue_tokens_no_link_is_printed(gateway: GatewayProcess, tmp_path: Path) -> None:
    settings = {**gateway.environment, "MOONX_ENV": "production"}

    refused = moonx("token", "ann", "--link", cwd=tmp_path, **settings)

    assert refused.returncode != 0
    assert "#code=" not in refused.stdout + refused.stderr
