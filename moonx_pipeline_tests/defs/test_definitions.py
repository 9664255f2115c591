"""What Dagster finds: names that operators, schedules and dashboards depend on."""

import subprocess
import sys

import dagster as dg

from moonx_pipeline.definitions import defs

STEPS = {
    "open_sync",
    "fetch_ethereum",
    "fetch_polygon",
    "fetch_optimism",
    "fetch_arbitrum",
    "fetch_base",
    "value_portfolio",
    "persist_portfolio",
    "publish_events",
}


def test_the_asset_the_job_the_checks_and_the_ops_have_their_names() -> None:
    job = defs.resolve_job_def("portfolio_sync")
    graph = job.graph.node_named("portfolio").definition

    assert isinstance(graph, dg.GraphDefinition)
    assert {node.name for node in graph.nodes} == STEPS
    assert {node.name for node in job.graph.nodes} == {
        "portfolio",
        "portfolio_totals_add_up",
        "portfolio_portfolio_complete",
    }
    asset = defs.resolve_asset_graph().get(dg.AssetKey("portfolio"))
    assert isinstance(asset.partitions_def, dg.DynamicPartitionsDefinition)
    assert asset.partitions_def.name == "users"
    assert {key.name for key in defs.resolve_asset_graph().asset_check_keys} == {"totals_add_up", "portfolio_complete"}


def test_every_asset_job_schedule_and_sensor_has_its_name() -> None:
    repository = defs.get_repository_def()

    assert {key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()} == {
        "portfolio",
        "token_registry",
    }
    assert set(repository.job_names) == {
        "portfolio_sync",
        "portfolio_sweep",
        "maintenance",
        "refresh_token_registry",
        "price_lines",
        "packing",
        "__ASSET_JOB",
    }
    assert {schedule.name for schedule in repository.schedule_defs} == {
        "market_hours_sweep",
        "off_hours_sweep",
        "nightly_maintenance",
        "daily_token_registry",
        "hourly_price_lines",
        "hourly_packing",
    }
    assert {sensor.name for sensor in repository.sensor_defs} == {"sync_requests", "undelivered_runs", "lost_workers"}


def test_a_failed_op_is_not_repeated_by_dagster_too() -> None:
    for name in (
        "portfolio_sync",
        "portfolio_sweep",
        "maintenance",
        "refresh_token_registry",
        "price_lines",
        "packing",
    ):
        assert defs.resolve_job_def(name).tags["dagster/retry_on_asset_or_op_failure"] == "false"


def test_importing_the_definitions_opens_nothing() -> None:
    code = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise AssertionError('a connection at import')\n"
        "socket.socket.connect = refuse\n"
        "import moonx_pipeline.definitions as d\n"
        "d.defs.resolve_job_def('portfolio_sync')\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error::Warning:moonx_pipeline", "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_cores_of_the_pipeline_do_not_need_dagster() -> None:
    code = "import sys, moonx_pipeline.sync.pipeline, moonx_pipeline.events.relay; sys.exit('dagster' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
