"""Dagster's webserver behind the guard: what a browser can be made to send is refused, what its pages send is not."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from dagster_webserver import cli
from dagster_webserver.app import create_app_from_workspace_process_context
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

import moonx_pipeline
from moonx_pipeline.simulator.server import free_port
from moonx_pipeline_tests.fixtures.dagster import eventually
from moonx_pipeline_tests.support.commands import environment_with
from moonx_pipeline_tests.support.forked import start_module

QUERY = {"query": "{ version }"}
FOREIGN = "http://foreign.example"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder, port = tmp_path_factory.mktemp("webserver"), free_port()
    command = ("moonx_pipeline", "webserver", "-h", "127.0.0.1", "-p", str(port), "--empty-workspace")
    environment = environment_with(
        DAGSTER_HOME=str(folder), GATEWAY_DAGSTER_URL="https://dagster.example", WEBSERVER_HOSTS="other"
    )
    with (folder / "log").open("wb") as log:
        process = start_module(*command, env=environment, cwd=folder, stdout=log, stderr=log)
    try:
        eventually(lambda: requests.get(f"http://127.0.0.1:{port}/server_info", timeout=2), seconds=60)
        yield port
    finally:
        process.terminate()
        process.wait()


def asked(port: int, method: str = "POST", path: str = "/graphql", **headers: str) -> int:
    named = {name.replace("_", "-"): value.replace("PORT", str(port)) for name, value in headers.items()}
    body = json.dumps(QUERY) if method == "POST" else None
    answer = requests.request(method, f"http://127.0.0.1:{port}{path}", data=body, headers=named, timeout=10)
    if answer.status_code == 200 and path == "/graphql":
        assert "version" in answer.json()["data"]
    return answer.status_code


JSON = "application/json"


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Type": JSON},
        {"Content_Type": f"{JSON}; charset=utf-8", "Origin": "http://127.0.0.1:PORT"},
        {"Content_Type": JSON, "Host": "localhost:PORT", "Origin": "http://localhost:PORT"},
        {"Content_Type": JSON, "Host": "dagster.example", "Origin": "https://dagster.example"},
        {"Content_Type": JSON, "Host": "other:3000", "Origin": "https://dagster.example"},
        {"Content_Type": JSON, "Host": "[::1]:3000"},
    ],
)
def test_what_pages_of_dagster_and_programs_ask_is_answered(port: int, headers: dict[str, str]) -> None:
    assert asked(port, **headers) == 200


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (403, {"Content_Type": JSON, "Origin": FOREIGN}),
        (403, {"Content_Type": JSON, "Origin": "null"}),
        (403, {"Content_Type": JSON, "Origin": "http://127.0.0.1:1"}),
        (403, {"Content_Type": JSON, "Origin": "http://localhost:1", "Host": "localhost:PORT"}),
        (403, {"Content_Type": JSON, "Origin": "http://127.0.0.1:PORT.foreign.example"}),
        (403, {"Content_Type": JSON, "Host": "foreign.example"}),
        (403, {"Content_Type": JSON, "Host": "dagster.example.foreign.example"}),
        (415, {"Content_Type": "text/plain"}),
        (415, {"Content_Type": f"text/plain; {JSON}"}),
        (415, {"Content_Type": "application/x-www-form-urlencoded"}),
    ],
)
def test_what_a_foreign_page_makes_a_browser_post_is_refused(port: int, status: int, headers: dict[str, str]) -> None:
    assert asked(port, **headers) == status


@pytest.mark.parametrize("path", ["/graphql?query={version}", "/graphql", "/graphql/"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_graphql_by_another_method_than_post_is_refused(port: int, method: str, path: str) -> None:
    assert asked(port, method, path, Accept="text/html") == 405


def test_pages_are_served_to_their_own_names_only(port: int) -> None:
    assert asked(port, "GET", "/server_info") == 200
    assert asked(port, "GET", "/runs", Accept="text/html") == 200
    assert asked(port, "GET", "/runs", Host="foreign.example") == 403


def test_a_websocket_opens_for_its_own_page_and_for_no_other(port: int) -> None:
    url = f"ws://127.0.0.1:{port}/graphql"
    with connect(url, subprotocols=["graphql-ws"], origin=f"http://127.0.0.1:{port}", open_timeout=10) as socket:
        socket.send('{"type": "connection_init"}')
        assert json.loads(socket.recv(timeout=10))["type"] == "connection_ack"

    with pytest.raises(InvalidStatus) as refused:
        connect(url, subprotocols=["graphql-ws"], origin=FOREIGN, open_timeout=10)
    assert refused.value.response.status_code == 403


def test_the_program_makes_its_application_by_the_name_that_is_guarded() -> None:
    assert cli.create_app_from_workspace_process_context is create_app_from_workspace_process_context
    serving = inspect.getsource(cli.host_dagster_ui_with_workspace_process_context)
    called = {call.func.id for call in ast.walk(ast.parse(serving))
              if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)}  # fmt: skip
    assert "create_app_from_workspace_process_context" in called
    assert {option.name for option in cli.dagster_webserver.params} >= {"host", "port", "log_format", "path_prefix"}


def test_no_other_module_imports_the_webserver() -> None:
    package = Path(moonx_pipeline.__file__).parent
    importing = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if "import dagster_webserver" in path.read_text() or "from dagster_webserver" in path.read_text()
    }
    assert importing == {"defs/webserver.py"}
