"""The real job on a real instance."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import Engine

from moonx_pipeline.definitions import defs
from moonx_pipeline.defs.packing import hourly_packing
from moonx_pipeline.settings import load_settings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import PLAIN_WALLET
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline_tests.support.packing import TWO_DAYS, plain_count, publish_all
from moonx_pipeline_tests.support.sql import execute
from moonx_pipeline_tests.support.syncs import register, sync, violations


@pytest.fixture
def instance(
    database_url: str, simulator: RunningSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    for name, value in {**simulator.environment(), "DATABASE_URL": database_url}.items():
        monkeypatch.setenv(name, value)
    load_settings.cache_clear()
    with dg.DagsterInstance.ephemeral(str(tmp_path)) as instance:
        yield instance
    load_settings.cache_clear()


def pack(instance: dg.DagsterInstance) -> dict[str, object]:
    """What each op of the job counted."""
    result = defs.resolve_job_def("packing").execute_in_process(instance=instance)
    counted = {}
    for op in ("pack_events", "pack_history", "pack_operations", "thin_packs"):
        (output,) = [e for e in result.events_for_node(op) if e.event_type == dg.DagsterEventType.STEP_OUTPUT]
        found = {name: value.value for name, value in output.step_output_data.metadata.items()}
        counted.update({name: value for name, value in found.items() if name != "seconds"})
    return counted


def test_the_job_packs_what_is_old_and_a_second_time_nothing(
    engine: Engine, runtime: Runtime, instance: dg.DagsterInstance
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime)
    publish_all(engine)
    execute(engine, "UPDATE user_token_holdings_history SET created_at = created_at - %s", (TWO_DAYS,))
    execute(
        engine,
        "UPDATE sync_operations SET type = 'sweep', started_at = started_at - %s, completed_at = completed_at - %s",
        (TWO_DAYS, TWO_DAYS),
    )
    sync(runtime)
    young = plain_count(engine) - 3

    counted = pack(instance)

    assert (counted["events"], counted["operations"]) == (3, 1)
    assert counted["rows"] > 0
    assert plain_count(engine) == young
    assert violations(engine) == []
    assert pack(instance) == {"events": 0, "rows": 0, "operations": 0, "snapshots": 0}


def test_it_is_done_every_hour_unless_unattended_work_is_off() -> None:
    assert (hourly_packing.cron_schedule, hourly_packing.job.name) == ("40 * * * *", "packing")
    assert hourly_packing.default_status == dg.DefaultScheduleStatus.RUNNING
