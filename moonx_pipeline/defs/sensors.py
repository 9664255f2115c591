"""The sensor that dispatches requests. Its rules are in ``sync.requests.dispatch``."""

import dagster as dg

from moonx_pipeline.defs.partitions import users
from moonx_pipeline.defs.portfolio import portfolio_sync
from moonx_pipeline.defs.resources import Database, PipelineSettings
from moonx_pipeline.storage.requests.dispatches import Dispatch, OpenDispatch
from moonx_pipeline.sync import run_tags
from moonx_pipeline.sync.requests.ask import dispatch_tags
from moonx_pipeline.sync.requests.dispatch import judge, next_tick, overdue, paused

INTERVAL_SECONDS = 1
"""The daemon checks sensors every five seconds. With an interval of five, every other check would come a moment too
soon, and a request would wait for ten."""


@dg.sensor(
    name="sync_requests",
    job=portfolio_sync,
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts a run for each request that waits: by priority, then the oldest first.",
)
def sync_requests(
    context: dg.SensorEvaluationContext, settings: PipelineSettings, database: Database
) -> dg.SensorResult | dg.SkipReason:
    engine, worker = database.engine, settings.values.worker
    if (why := paused(engine)) is not None:
        return dg.SkipReason(why)
    dispatches = overdue(engine, worker)
    runs = _latest_runs(context.instance, dispatches)
    tick = next_tick(engine, worker, [judge(one, runs.get(str(one.request_id)), worker) for one in dispatches])
    if not tick.launches:
        return dg.SkipReason(tick.reason)
    # One statement for all; the daemon would check each partition by itself.
    context.instance.add_dynamic_partitions(str(users.name), [launch.user_id for launch in tick.launches])
    return dg.SensorResult(run_requests=[_run_request(launch) for launch in tick.launches])


def _run_request(launch: Dispatch) -> dg.RunRequest:
    return dg.RunRequest(run_key=launch.run_key, partition_key=launch.user_id, tags=dispatch_tags(launch))


def _latest_runs(instance: dg.DagsterInstance, dispatches: list[OpenDispatch]) -> dict[str, tuple[str, str]]:
    """Id and status of each request's run: one that has not ended, else the latest."""
    if not dispatches:
        return {}
    records = instance.get_run_records(
        dg.RunsFilter(tags={run_tags.REQUEST: [str(dispatch.request_id) for dispatch in dispatches]})
    )
    found: dict[str, tuple[str, str]] = {}
    for record in sorted(records, key=lambda record: (not record.dagster_run.is_finished, record.create_timestamp)):
        run = record.dagster_run
        found[run.tags[run_tags.REQUEST]] = (run.run_id, run.status.value)
    return found
