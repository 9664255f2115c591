"""The job of the token registry as Dagster runs it: what an operator sees of it."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest

from moonx_pipeline.definitions import defs
from moonx_pipeline.defs.markdown import markdown_text
from moonx_pipeline.defs.token_registry import daily_token_registry
from moonx_pipeline.settings import load_settings
from moonx_pipeline_tests.fixtures.simulator import FAST, UNLIMITED
from moonx_pipeline_tests.support.list_server import LISTING, ListServer, serving_lists

A, B, C = ("0x" + digit * 40 for digit in "abc")


@pytest.fixture
def lists(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[ListServer]:
    """A list and CoinGecko's listing, and a worker's settings that name them."""
    with serving_lists() as server:
        server.put_tokens("/list.json", (1, A, "A"), (1, B, "B"))
        server.put_coins(("coin-a", "a", {"ethereum": A}), ("coin-c", "c", {"base": C}))
        environment = {
            **FAST,
            **UNLIMITED,
            "DATABASE_URL": database_url,
            "COINGECKO_BASE_URL": f"{server.url}/api/v3",
            "TOKEN_LISTS": f"{server.url}/list.json?key=sekrit",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        load_settings.cache_clear()
        yield server
    load_settings.cache_clear()


def refresh() -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        job = defs.resolve_job_def("refresh_token_registry")
        return job.execute_in_process(instance=instance, raise_on_error=False)


def test_the_materialization_tells_of_each_list(lists: ListServer, capfd: pytest.CaptureFixture[str]) -> None:
    lists.put(LISTING, b"", 503)

    done = refresh()

    assert done.success
    (told,) = done.asset_materializations_for_node("token_registry")
    facts = {name: value.value for name, value in told.metadata.items()}
    name = f"{lists.url}/list.json"
    assert told.asset_key == dg.AssetKey("token_registry")
    assert facts["tokens"] == {name: 2, "coingecko": 0}
    assert (facts["added"], facts["removed"], facts["renamed"], facts["forgotten"]) == (2, 0, 0, "none")
    assert list(facts["errors"]) == ["coingecko"]
    assert facts["seconds"] >= 0
    head, _, *lines = facts["lists"].splitlines()
    assert head == "| list | tokens | added | removed | renamed | seconds | error |"
    assert lines[0].startswith(f"| {markdown_text(name)} | 2 | 2 | 0 | 0 | ")
    assert "503" in lines[1]
    logged = capfd.readouterr().err
    assert "coingecko was not taken, and keeps what it said" in logged
    assert "sekrit" not in f"{facts}{logged}"


def test_a_run_fails_only_when_no_list_can_be_read(lists: ListServer) -> None:
    assert refresh().success
    lists.answers.clear()

    done = refresh()

    assert not done.success
    (failure,) = [event for event in done.all_events if event.event_type == dg.DagsterEventType.STEP_FAILURE]
    told = failure.step_failure_data.user_failure_data
    assert told is not None
    assert "No list could be read" in (told.description or "")
    assert list(told.metadata["errors"].value) == [f"{lists.url}/list.json", "coingecko"]
    assert told.metadata["tokens"].value == {f"{lists.url}/list.json": 2, "coingecko": 2}


def test_it_is_read_once_a_day() -> None:
    assert daily_token_registry.name == "daily_token_registry"
    assert daily_token_registry.job_name == "refresh_token_registry"
    minute, hour, *rest = str(daily_token_registry.cron_schedule).split()
    assert (minute.isdigit(), hour.isdigit(), rest) == (True, True, ["*", "*", "*"])
