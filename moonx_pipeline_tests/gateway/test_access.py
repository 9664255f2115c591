"""Who may see what: every route of the API, as its own description lists them, against every kind of caller."""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from moonx_pipeline.gateway.app import describe_api
from moonx_pipeline_tests.fixtures.gateway import GatewayProcess, token_of

NO_OPERATION = "6302d367-94a1-4c79-a971-56a428d50067"
ANN_WALLET = "0x" + "a1" * 20
BOB_WALLET = "0x" + "b2" * 20


class Route(NamedTuple):
    """A route that wants a token, with a path that can be asked for."""

    method: str
    path: str
    for_operators: bool

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def _routes() -> list[Route]:
    found = []
    for template, methods in describe_api()["paths"].items():
        for method, operation in methods.items():
            if operation.get("security"):
                path = template.format(operation_id=NO_OPERATION, key="binance")
                found.append(Route(method.upper(), path, "operators" in operation["tags"]))
    return found


ROUTES = _routes()
OPERATORS = [route for route in ROUTES if route.for_operators]
BODIES: dict[str, Any] = {
    "/api/v1/wallets": {"wallets": []},
    "/api/v1/sync/bulk": {"userIds": ["nobody"]},
    "/api/v1/sync/pause": {"action": "resume"},
}


def asked(gateway: GatewayProcess, route: Route, token: str | None) -> tuple[int, str | None]:
    body = BODIES.get(route.path) if route.method in ("POST", "PUT") else None
    answer = gateway.ask(route.method, route.path, token, json=body)
    return answer.status_code, answer.json().get("error", {}).get("code")


def test_the_routes_of_the_contract_want_a_token() -> None:
    assert len(ROUTES) >= 19
    assert {route.path for route in OPERATORS} >= {"/api/v1/sync/queue", "/api/v1/sync/bulk", "/api/v1/breakers"}


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_nobody_is_served_without_a_token_that_is_in_order(gateway: GatewayProcess, route: Route) -> None:
    assert asked(gateway, route, None) == (401, "unauthorized")
    assert asked(gateway, route, token_of("ann", seconds=-60)) == (401, "token_expired")
    assert asked(gateway, route, token_of("ann", aud="another")) == (401, "unauthorized")
    assert asked(gateway, route, token_of("ann", key=None, algorithm="none")) == (401, "unauthorized")
    assert asked(gateway, route, "no token at all") == (401, "unauthorized")


@pytest.mark.parametrize("route", OPERATORS, ids=str)
def test_what_is_for_operators_is_refused_to_users(gateway: GatewayProcess, route: Route) -> None:
    assert asked(gateway, route, token_of("ann")) == (403, "forbidden")
    assert asked(gateway, route, token_of("ann", role="user")) == (403, "forbidden")
    assert asked(gateway, route, token_of("root", role="admin"))[0] in (200, 202, 404)


def test_each_sees_his_own_and_nothing_of_others(gateway: GatewayProcess) -> None:
    ann, bob = gateway.register("ann-own", ANN_WALLET), gateway.register("bob-own", BOB_WALLET)
    asked_by_bob = gateway.ask("POST", "/api/v1/sync/trigger", token_of(bob)).json()["data"]["requestId"]
    with gateway.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO user_token_holdings (user_id, wallet_address, chain_id, token_address, token_symbol, balance) "
            "VALUES (%s, %s, 1, %s, 'SECRET', 5)",
            (bob, BOB_WALLET, "0x" + "c3" * 20),
        )
        connection.exec_driver_sql(
            "INSERT INTO sync_operations (id, user_id, status, trigger) VALUES (%s, %s, 'running', 'manual')",
            (operation := uuid4(), bob),
        )

    for path in ("/portfolio", "/portfolio/holdings", "/wallets", "/sync/status", "/sync/operations"):
        shown = gateway.ask("GET", f"/api/v1{path}", token_of(ann), params={"userId": bob, "user_id": bob}).text
        assert "SECRET" not in shown
        assert BOB_WALLET not in shown
        assert bob not in shown
    for method in ("GET", "DELETE"):
        for sync_id in (str(operation), asked_by_bob):
            answer = gateway.ask(method, f"/api/v1/sync/operations/{sync_id}", token_of(ann))
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert gateway.get(f"/sync/operations/{operation}", bob)["status"] == "running"
    assert gateway.get("/sync/status", bob)["pendingRequestId"] == asked_by_bob
