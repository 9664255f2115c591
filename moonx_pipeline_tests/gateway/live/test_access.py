"""Who is let in, where to, and for how long; by the official client."""

from pathlib import Path
from typing import Any

import pytest

from moonx_pipeline_tests.fixtures.dagster import eventually
from moonx_pipeline_tests.fixtures.gateway import GatewayProcess, running_gateway, token_of
from moonx_pipeline_tests.gateway.live.clients import BareSocket, client, connected
from moonx_pipeline_tests.support.live_events import started, tell


@pytest.mark.parametrize(
    "auth", [None, {}, {"token": 7}, {"token": "garbage"}, {"token": "\ud800.\ud800.\ud800"}], ids=repr
)
def test_who_sends_no_token_is_refused_with_a_code(gateway: GatewayProcess, auth: object) -> None:
    refused(gateway, auth, "unauthorized")


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"aud": "another"}, "unauthorized"),
        ({"key": "another secret that is long enough"}, "unauthorized"),
        ({"seconds": -3600}, "token_expired"),
    ],
)
def test_who_has_no_valid_token_is_refused_with_a_code(
    gateway: GatewayProcess, claims: dict[str, Any], code: str
) -> None:
    refused(gateway, {"token": token_of("ann", **claims)}, code)


def refused(gateway: GatewayProcess, auth: object, code: str) -> None:
    with client(gateway, auth) as stranger:
        line = stranger.next()

    assert (line["name"], line["data"]) == ("connect_error", {"code": code})
    assert line["message"].endswith(".")


@pytest.mark.parametrize("auth", ["text", "[1]", "7", '{"lastVersion": {}}', "not json"])
def test_whatever_is_sent_for_auth_others_are_served(gateway: GatewayProcess, auth: str) -> None:
    bare = BareSocket(gateway)
    bare.send(f"40{auth}")

    with connected(gateway, "ann") as ann:
        tell(gateway.engine, event := started("ann", 1))
        assert ann.next()["data"]["eventId"] == str(event.id)
    bare.close()
    assert gateway.ask("GET", "/health/ready").status_code == 200


@pytest.mark.parametrize("transports", [["polling"], ["websocket"]])
def test_the_official_client_is_let_in_by_each_transport(gateway: GatewayProcess, transports: list[str]) -> None:
    with client(gateway, {"token": token_of("ann")}, transports=transports) as ann:
        assert ann.next() == {"name": "connect", "transport": transports[0]}
        tell(gateway.engine, started("ann", 1))
        assert ann.next()["name"] == "sync_started"


def test_a_room_is_joined_by_its_own_user_only(gateway: GatewayProcess) -> None:
    with connected(gateway, "ann") as ann:
        for room in ("user:ann", "system"):
            assert ann.ask("join_room", {"room": room}) == {"ok": True}
        for wanted in ({"room": "user:bob"}, {"room": "admin"}, {"room": "lobby"}, {"room": 7}, {}, "user:ann", None):
            answer = ann.ask("join_room", wanted)
            assert (answer["ok"], answer["error"]["code"]) == (False, "forbidden")
        assert ann.ask("join_room")["error"]["code"] == "forbidden"
        assert ann.ask("join_room", {"room": "user:ann"}, "more") == {"ok": True}

        tell(gateway.engine, started("bob", 1), started("ann", 2))
        assert ann.next()["data"]["userId"] == "ann"


def test_an_administrator_joins_the_room_of_administrators_and_nobodys_else(gateway: GatewayProcess) -> None:
    with connected(gateway, "root", role="admin") as root:
        assert root.ask("join_room", {"room": "admin"}) == {"ok": True}
        assert root.ask("join_room", {"room": "user:ann"})["ok"] is False


def test_the_end_of_a_token_ends_its_socket(gateway: GatewayProcess) -> None:
    with connected(gateway, "ann", seconds=2) as ending, connected(gateway, "ann") as staying:
        assert ending.next()["data"]["code"] == "token_expired"
        assert ending.next() == {"name": "disconnect", "reason": "io server disconnect"}
        tell(gateway.engine, started("ann", 1))
        assert staying.next()["name"] == "sync_started"


def test_tokens_are_never_logged_whatever_the_level(gateway: GatewayProcess) -> None:
    with connected(gateway, "ann"):
        pass

    assert token_of("ann").split(".")[0] not in gateway.log


def test_only_pages_of_this_host_and_of_named_origins_may_connect(database_url: str, tmp_path: Path) -> None:
    def status(origin: str | None) -> int:
        headers = {"Origin": origin} if origin else {}
        return strict.ask("GET", "/socket.io/?EIO=4&transport=polling", headers=headers).status_code

    with running_gateway(database_url, tmp_path, GATEWAY_CORS_ORIGINS="https://app.example") as strict:
        allowed = [None, strict.url, "https://app.example"]
        assert [status(origin) for origin in [*allowed, "https://evil.example"]] == [200, 200, 200, 400]


def test_a_user_has_twenty_sockets_and_others_are_served(gateway: GatewayProcess) -> None:
    sockets = [BareSocket(gateway) for _ in range(20)]
    for bare in sockets:
        bare.join("crowd")

    refused(gateway, {"token": token_of("crowd")}, "too_many_connections")
    with connected(gateway, "somebody-else"):
        pass
    sockets.pop().close()
    eventually(lambda: _assert_admitted(gateway, "crowd"))
    for bare in sockets:
        bare.close()


def _assert_admitted(gateway: GatewayProcess, user_id: str) -> None:
    with client(gateway, {"token": token_of(user_id)}) as one:
        assert one.next()["name"] == "connect"


def test_guesses_by_socket_are_counted_as_those_of_the_api(database_url: str, tmp_path: Path) -> None:
    with running_gateway(database_url, tmp_path, RATE_LIMIT_MAX_REQUESTS="2") as strict:
        for code in ("unauthorized", "unauthorized", "too_many_requests"):
            refused(strict, {"token": "garbage"}, code)
        refused(strict, {"token": token_of("ann", seconds=-3600)}, "token_expired")
        assert strict.ask("GET", "/api/v1/sync/status").status_code == 429
        with connected(strict, "ann"):
            pass


def test_answers_of_the_socket_path_have_the_headers_of_all_others(gateway: GatewayProcess) -> None:
    answer = gateway.ask("GET", "/socket.io/?EIO=4&transport=polling")

    assert answer.status_code == 200
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_a_connection_that_never_says_who_it_is_is_ended(gateway: GatewayProcess) -> None:
    nobody = BareSocket(gateway)
    nobody.until_cut()
    nobody.close()
