"""The real job on a real instance, and the job of a sync, after which a page has lines at once."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import Engine

from moonx_pipeline.definitions import defs
from moonx_pipeline.defs.price_lines import hourly_price_lines
from moonx_pipeline.domain.chains import NATIVE_TOKEN
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import PLAIN_WALLET
from moonx_pipeline.storage.tokens.price_lines import read_lines
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline_tests.support.syncs import register, sync


@pytest.fixture
def instance(environment: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral(str(tmp_path)) as instance:
        yield instance


def refresh(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    return defs.resolve_job_def("price_lines").execute_in_process(instance=instance, raise_on_error=False)


def read(result: dg.ExecuteInProcessResult) -> int:
    """How many lines the job says it read."""
    (output,) = [e for e in result.all_events if e.event_type == dg.DagsterEventType.STEP_OUTPUT]
    lines = output.step_output_data.metadata["lines"].value
    assert isinstance(lines, int)
    return lines


def test_the_job_reads_each_line_once_an_hour(engine: Engine, runtime: Runtime, instance: dg.DagsterInstance) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime)

    first, second = refresh(instance), refresh(instance)

    assert (first.success, second.success) == (True, True)
    with engine.connect() as connection:
        found = {(line.chain_id, line.token): line.prices for line in read_lines(connection, "ann")}
    # A coin's line is that of its tokens on all chains.
    assert 1 < read(first) <= len(found)
    assert read(second) == 0
    assert len(found[1, NATIVE_TOKEN]) == 168


def test_the_job_fails_with_the_providers_words_and_keeps_the_lines(
    engine: Engine, runtime: Runtime, instance: dg.DagsterInstance, simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime)
    simulator.fault("outage", provider="coingecko", endpoint="coins/markets")

    failed = refresh(instance)

    assert not failed.success
    (failure,) = [e.step_failure_data for e in failed.all_events if e.event_type == dg.DagsterEventType.STEP_FAILURE]
    assert failure.user_failure_data is not None
    assert "Price lines stay as they were: " in (failure.user_failure_data.description or "")
    assert "503" in (failure.user_failure_data.description or "")


def test_the_job_runs_each_hour() -> None:
    assert (hourly_price_lines.cron_schedule, hourly_price_lines.job_name) == ("25 * * * *", "price_lines")
