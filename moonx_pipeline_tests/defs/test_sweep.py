"""The sweep as Dagster runs it, and the schedules that begin it."""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg
import pytest
from sqlalchemy import Engine

from moonx_pipeline.definitions import defs
from moonx_pipeline.defs.partitions import users
from moonx_pipeline.defs.resources import Database, PipelineRuntime, PipelineSettings
from moonx_pipeline.defs.schedules import market_hours_cron, market_hours_sweep, off_hours_cron, off_hours_sweep
from moonx_pipeline.defs.sweep import SWEEPS, portfolio_sweep
from moonx_pipeline.settings import Settings, load_settings
from moonx_pipeline.settings.load import InvalidSettings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import EMPTY_WALLET, PLAIN_WALLET
from moonx_pipeline.storage.requests.pause import pause
from moonx_pipeline.sync import run_tags
from moonx_pipeline_tests.support.syncs import operation, register


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


def test_a_run_syncs_who_is_due_and_tells_what_it_did(
    engine: Engine, environment: object, instance: dg.DagsterInstance, simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    register(engine, "cyd", EMPTY_WALLET)
    simulator.fault("outage", wallet=EMPTY_WALLET)

    done = defs.resolve_job_def("portfolio_sweep").execute_in_process(instance=instance)

    assert done.success
    assert operation(engine, "ann").status == "completed"
    assert operation(engine, "ann").dagster_run_id == done.run_id
    (told,) = done.asset_materializations_for_node("sweep_users")
    facts = {name: value.value for name, value in told.metadata.items()}
    assert told.asset_key == SWEEPS
    assert (facts["users"], facts["users completed"], facts["users failed"], facts["users changed"]) == (2, 1, 1, 1)
    assert list(facts["failed_users"]) == ["cyd"]
    assert facts["ended"] == "Nobody else is due."
    assert sorted(instance.get_dynamic_partitions(str(users.name))) == ["ann", "cyd"]


def test_a_share_of_the_users_is_a_shard_of_the_run(
    engine: Engine, environment: object, instance: dg.DagsterInstance
) -> None:
    names = [f"user{number}" for number in range(20)]
    for name in names:
        register(engine, name, EMPTY_WALLET)
    job = defs.resolve_job_def("portfolio_sweep")

    counts = []
    for shard in range(2):
        config = {"ops": {"sweep_users": {"config": {"shard": shard, "shards": 2}}}}
        assert job.execute_in_process(instance=instance, run_config=config).success
        with engine.connect() as connection:
            counts.append(connection.exec_driver_sql("SELECT count(*) FROM sync_operations").scalar_one())

    assert 0 < counts[0] < counts[1] == 20


def tick(schedule: dg.ScheduleDefinition, instance: dg.DagsterInstance) -> list[dg.RunRequest] | str:
    settings = PipelineSettings()
    database = Database(settings=settings)
    with dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=datetime(2026, 3, 2, 9, 5, tzinfo=UTC),
        resources={
            "settings": settings,
            "runtime": PipelineRuntime(settings=settings, database=database),
        },
    ) as context:
        result = schedule.evaluate_tick(context)
    return list(result.run_requests or []) or str(result.skip_message)


def going_on(instance: dg.DagsterInstance, shard: str, status: dg.DagsterRunStatus) -> None:
    instance.add_run(dg.DagsterRun(job_name=portfolio_sweep.name, tags={run_tags.SHARD: shard}, status=status))


@pytest.mark.parametrize("schedule", [market_hours_sweep, off_hours_sweep])
def test_a_tick_begins_one_sweep_a_shard_but_none_that_still_goes_on(
    engine: Engine, environment: pytest.MonkeyPatch, instance: dg.DagsterInstance, schedule: dg.ScheduleDefinition
) -> None:
    environment.setenv("PERIODIC_SYNC_SHARDS", "3")
    load_settings.cache_clear()
    register(engine, "ann", PLAIN_WALLET)

    requests = tick(schedule, instance)

    assert [request.tags[run_tags.SHARD] for request in requests] == ["0", "1", "2"]
    assert [request.run_config["ops"]["sweep_users"]["config"] for request in requests] == [
        {"shard": shard, "shards": 3} for shard in range(3)
    ]
    assert len({request.run_key for request in requests}) == 3
    going_on(instance, "1", dg.DagsterRunStatus.STARTED)
    going_on(instance, "0", dg.DagsterRunStatus.STARTING)
    assert [request.tags[run_tags.SHARD] for request in tick(schedule, instance)] == ["2"]
    going_on(instance, "2", dg.DagsterRunStatus.CANCELING)
    assert tick(schedule, instance) == "The sweep that began before still goes on."


def test_a_tick_says_why_it_begins_nothing(engine: Engine, environment: object, instance: dg.DagsterInstance) -> None:
    assert tick(market_hours_sweep, instance) == "Nobody is due."
    register(engine, "ann", PLAIN_WALLET)
    with engine.begin() as connection:
        pause(connection, "The provider moves house.", "ops")

    reason = tick(market_hours_sweep, instance)

    assert reason.startswith("All syncs are paused since 20")
    assert reason.endswith("by ops: The provider moves house.")


def test_the_ticks_follow_the_settings() -> None:
    usual = Settings.from_environment({}).periodic
    assert (market_hours_cron(usual), off_hours_cron(usual)) == ("*/5 9-16 * * *", "*/15 0-8,17-23 * * *")
    assert {schedule.default_status for schedule in (market_hours_sweep, off_hours_sweep)} == {
        dg.DefaultScheduleStatus.RUNNING
    }

    own = Settings.from_environment(
        {"PERIODIC_SYNC_CRON_PATTERN": "*/2 * * * *", "PERIODIC_SYNC_OFF_HOURS_INTERVAL": "420000"}
    ).periodic
    assert (market_hours_cron(own), off_hours_cron(own)) == ("*/2 9-16 * * *", "*/2 0-8,17-23 * * *")
    with pytest.raises(InvalidSettings, match="must be minutes of every hour"):
        Settings.from_environment({"PERIODIC_SYNC_CRON_PATTERN": "0 4 * * *"})
