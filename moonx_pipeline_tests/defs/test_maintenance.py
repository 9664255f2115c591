"""The real job on a real instance: what it removes, what it leaves, and what it says."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import Engine

from moonx_pipeline.definitions import defs
from moonx_pipeline.defs.maintenance import nightly_maintenance
from moonx_pipeline.settings import load_settings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import PLAIN_WALLET
from moonx_pipeline.storage.monitoring.invariants import check_invariants
from moonx_pipeline_tests.fixtures.simulator import FAST, UNLIMITED
from moonx_pipeline_tests.support.forked import run_module
from moonx_pipeline_tests.support.syncs import register

PORTFOLIO = dg.AssetKey("portfolio")
OPS = {
    "retire_inactive_partitions",
    "prune_dagster_runs",
    "thin_history",
    "turn_history_months",
    "prune_outbox",
    "prune_evidence",
    "prune_operations",
    "prune_unused",
    "prune_broker",
    "analyze_tables",
}
STORAGE = """
storage:
  custom:
    module: moonx_pipeline.defs.instance_storage
    class: PooledStorage
    config: {}
telemetry:
  enabled: false
"""


@pytest.fixture
def environment(database_url: str, simulator: RunningSimulator, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "dagster.yaml").write_text(STORAGE)
    return {
        **simulator.environment(),
        **FAST,
        **UNLIMITED,
        "DATABASE_URL": database_url,
        "DAGSTER_HOME": str(tmp_path),
    }


@pytest.fixture
def instance(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """Dagster's instance in the test's own database."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    load_settings.cache_clear()
    with dg.DagsterInstance.get() as instance:
        yield instance
    load_settings.cache_clear()


def run_sync(instance: dg.DagsterInstance, user: str) -> str:
    """Syncs a user by a run of his own; returns its id."""
    job = defs.resolve_job_def("portfolio_sync")
    tags = {"dagster/partition": user}
    return job.execute_in_process(instance=instance, tags=tags, raise_on_error=False).run_id


def made_run(instance: dg.DagsterInstance, status: dg.DagsterRunStatus, user: str = "nobody") -> str:
    run = instance.create_run_for_job(
        defs.resolve_job_def("maintenance"), status=status, tags={"dagster/partition": user}
    )
    return run.run_id


def maintain(instance: dg.DagsterInstance, **seconds: float) -> dg.ExecuteInProcessResult:
    config = {"ops": {op: {"config": {"seconds": value}} for op, value in seconds.items()}}
    job = defs.resolve_job_def("maintenance")
    return job.execute_in_process(instance=instance, run_config=config, raise_on_error=False)


def metadata(result: dg.ExecuteInProcessResult, op: str) -> dict[str, Any]:
    """What an op said that ended well."""
    (event,) = [e for e in result.events_for_node(op) if e.event_type == dg.DagsterEventType.STEP_OUTPUT]
    return {name: value.value for name, value in event.step_output_data.metadata.items()}


def execute(engine: Engine, sql: str, parameters: tuple = ()) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(sql, parameters)


def age(engine: Engine, *runs: str, days: int = 20) -> None:
    """Lets runs lie so many days back."""
    for table, columns in (
        ("runs", ("create_timestamp", "update_timestamp")),
        ("asset_check_executions", ("create_timestamp",)),
    ):
        aged = ", ".join(f"{column} = {column} - make_interval(days => {days})" for column in columns)
        execute(engine, f"UPDATE dagster.{table} SET {aged} WHERE run_id = ANY(%s)", (list(runs),))


def runs_with(engine: Engine, table: str) -> set[str]:
    with engine.connect() as connection:
        return set(connection.exec_driver_sql(f"SELECT run_id FROM dagster.{table}").scalars())


def partition_rows(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return dict(connection.exec_driver_sql("SELECT partition, id FROM dagster.dynamic_partitions").all())


def test_old_runs_go_but_the_last_sync_of_each_user_and_what_still_runs(
    engine: Engine, instance: dg.DagsterInstance
) -> None:
    for user in ("ann", "bob", "eve", "gone"):
        register(engine, user, PLAIN_WALLET)
        instance.add_dynamic_partitions("users", [user])
    first, last = run_sync(instance, "ann"), run_sync(instance, "ann")
    of_bob, of_gone, of_eve = (run_sync(instance, user) for user in ("bob", "gone", "eve"))
    failed = run_sync(instance, "nobody")
    running = made_run(instance, dg.DagsterRunStatus.STARTED, "ann")
    waiting = made_run(instance, dg.DagsterRunStatus.NOT_STARTED, "bob")
    age(engine, first, last, of_bob, of_gone, failed, running, waiting)
    execute(engine, "DELETE FROM user_wallets WHERE user_id = 'gone'")

    result = maintain(instance)

    assert result.success
    kept = {last, of_bob, of_eve}
    assert runs_with(engine, "runs") == kept | {running, waiting, result.run_id}
    assert runs_with(engine, "event_logs") - {running, waiting} == kept | {result.run_id}
    assert runs_with(engine, "asset_check_executions") == kept
    said = metadata(result, "prune_dagster_runs")
    assert (said["runs"], said["check_executions"]) == (3, 6)
    assert said["seconds"] > 0
    assert metadata(result, "retire_inactive_partitions")["partitions"] == 1
    # Also where Dagster has to make its cache of the partitions' status anew.
    instance.event_log_storage.wipe_asset_cached_status(PORTFOLIO)
    assert instance.get_materialized_partitions(PORTFOLIO) == {"ann", "bob", "eve"}
    assert metadata(maintain(instance), "prune_dagster_runs")["runs"] == 0


def test_a_log_that_is_too_long_for_one_night_is_gone_after_the_next(
    engine: Engine, instance: dg.DagsterInstance
) -> None:
    age(engine, *(made_run(instance, dg.DagsterRunStatus.FAILURE) for _ in range(110)))

    nights = [metadata(maintain(instance, prune_dagster_runs=0), "prune_dagster_runs") for _ in range(2)]

    assert [(night["runs"], night.get("left_for_next_night")) for night in nights] == [(100, True), (10, True)]


def test_partitions_of_inactive_users_are_retired_and_come_back_with_a_run(
    engine: Engine, instance: dg.DagsterInstance
) -> None:
    users = ["active", "asleep", "running", "waiting"]
    for user in users:
        register(engine, user, PLAIN_WALLET)
    instance.add_dynamic_partitions("users", users)
    execute(engine, "UPDATE user_sync_status SET last_active_at = now() - interval '31 days' WHERE user_id <> 'active'")
    made_run(instance, dg.DagsterRunStatus.STARTED, "running")
    made_run(instance, dg.DagsterRunStatus.NOT_STARTED, "waiting")
    made_run(instance, dg.DagsterRunStatus.SUCCESS, "asleep")
    before = partition_rows(engine)

    said = metadata(maintain(instance), "retire_inactive_partitions")

    assert said["partitions"] == 1
    # Not even for a moment were the others away.
    assert partition_rows(engine) == {name: row for name, row in before.items() if name != "asleep"}
    run_sync(instance, "asleep")
    assert instance.has_dynamic_partition("users", "asleep")


def test_a_run_that_begins_while_its_partition_is_retired_has_it_again(
    engine: Engine, instance: dg.DagsterInstance
) -> None:
    users = [f"user-{number}" for number in range(150)]
    instance.add_dynamic_partitions("users", users)
    run = made_run(instance, dg.DagsterRunStatus.SUCCESS, "user-7")
    execute(
        engine,
        "CREATE FUNCTION begin_run() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"UPDATE dagster.runs SET status = 'STARTED' WHERE run_id = '{run}'; RETURN NULL; END $$; "
        "CREATE TRIGGER begin_run AFTER DELETE ON dagster.dynamic_partitions FOR EACH ROW "
        "WHEN (OLD.partition = 'user-7') EXECUTE FUNCTION begin_run()",
    )

    said = metadata(maintain(instance), "retire_inactive_partitions")

    assert said["partitions"] == 149
    assert instance.get_dynamic_partitions("users") == ["user-7"]


def test_each_subject_says_what_it_removed_and_one_that_fails_stops_no_other(
    engine: Engine, instance: dg.DagsterInstance
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    run_sync(instance, "ann")
    run_sync(instance, "ann")
    execute(
        engine,
        "UPDATE sync_operations SET started_at = started_at - interval '91 days', completed_at = completed_at - "
        "interval '91 days'; UPDATE outbox_events SET created_at = created_at - interval '91 days'; "
        "UPDATE user_token_holdings_history SET created_at = '2001-01-01'",
    )

    with engine.begin() as other:
        other.exec_driver_sql("LOCK outbox_events")
        failed = maintain(instance)
    ended = maintain(instance)

    assert not failed.success
    assert {event.step_key for event in failed.get_step_failure_events()} == {"prune_outbox"}
    (failure,) = failed.get_step_failure_events()
    assert failure.step_failure_data.error is not None
    message = failure.step_failure_data.error.message
    assert "'prune_outbox' failed after" in message
    assert "canceling statement due to lock timeout. What it had done stays done" in message
    assert "Steps failed: ['prune_outbox']" in failed.get_run_failure_event().message
    assert metadata(failed, "prune_operations")["operations"] == 1
    assert metadata(failed, "turn_history_months")["rows_without_month"] > 0
    assert ended.success
    assert metadata(ended, "prune_outbox")["events"] > 0
    assert {event.step_key for event in ended.get_step_success_events()} == OPS
    assert all(metadata(ended, op)["seconds"] >= 0 for op in OPS)
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        assert check_invariants(connection) == []


def test_a_whole_run_in_a_process_of_its_own(engine: Engine, environment: dict[str, str]) -> None:
    command = ("dagster", "job", "execute", "-m", "moonx_pipeline.definitions", "-j", "maintenance")

    done = run_module(*command, env={**os.environ, **environment}, cwd=Path(__file__).parents[2])

    assert done.returncode == 0, done.stderr[-3000:]
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT status FROM dagster.runs").scalars().all() == ["SUCCESS"]


def test_it_runs_at_night_where_syncs_run_unattended(environment: dict[str, str]) -> None:
    assert nightly_maintenance.cron_schedule == "30 3 * * *"
    assert nightly_maintenance.execution_timezone == "UTC"
    assert nightly_maintenance.job.name == "maintenance"
    assert nightly_maintenance.default_status == dg.DefaultScheduleStatus.RUNNING
    code = "from moonx_pipeline.defs.maintenance import nightly_maintenance as n; print(n.default_status.value)"
    told = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment, "PERIODIC_SYNC_ENABLED": "false"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "STOPPED"
