"""Runs whose worker died: noticed, ended with that reason, and what they were at is due again."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

import dagster as dg
from sqlalchemy import Engine

from moonx_pipeline.defs.resources import Database, Providers
from moonx_pipeline.storage.workers import known_workers
from moonx_pipeline.sync import run_tags
from moonx_pipeline.sync.recovery import Recovery, recover_lost
from moonx_pipeline.sync.sources import Sources
from moonx_pipeline.sync.user_sync import utc_now

_INTERVAL_SECONDS: Final = 1  # at each look of the daemon; see the sensor of requests
_UNDER_WAY: Final = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


class LostWork(NamedTuple):
    """What dead processes left.

    Attributes:
        recovery: The processes, and their syncs, which are closed.
        runs: Ids of their runs, which are ended.
    """

    recovery: Recovery
    runs: tuple[str, ...]


def close_lost(engine: Engine, sources: Sources, instance: dg.DagsterInstance, now: datetime) -> LostWork:
    """Closes what dead processes left: syncs first, then the runs that carried them, or had not begun to.

    Doing it again, or by several at once, does no harm: each time whatever is still open is looked for.
    """
    recovery = recover_lost(engine, sources, now)
    runs = [run for run in instance.get_runs(dg.RunsFilter(statuses=_UNDER_WAY)) if run_tags.WORKER in run.tags]
    if not runs:
        return LostWork(recovery, ())
    # Read after the runs: a process is known before it takes its first.
    with engine.connect() as connection:
        known = known_workers(connection)
    lost = [run for run in runs if run.tags[run_tags.WORKER] not in known]
    return LostWork(recovery, tuple(run.run_id for run in lost if _end_run(instance, run)))


def _end_run(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Ends a run of a dead process; whether it had not ended by itself."""
    latest = instance.get_run_by_id(run.run_id)
    if latest is None or latest.is_finished:
        return False
    worker = latest.tags[run_tags.WORKER]
    if latest.status is dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(latest, f"Worker {worker} died before it had ended the run.")
    else:
        instance.report_run_failed(
            latest,
            f"Worker {worker} died while it carried the run. What it had not stored is lost; its users are due again.",
        )
    return True


@dg.sensor(
    minimum_interval_seconds=_INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends the runs of workers that died, and makes their users due again.",
)
def lost_workers(context: dg.SensorEvaluationContext, database: Database, providers: Providers) -> dg.SkipReason:
    lost = close_lost(database.engine, providers.sources, context.instance, utc_now())
    if not lost.recovery.workers and not lost.runs:
        return dg.SkipReason("No worker died.")
    for run_id in lost.runs:
        context.log.warning(f"Run {run_id} was ended: its worker died.")
    return dg.SkipReason(
        f"{len(lost.recovery.workers)} processes had died or left; {len(lost.recovery.operations)} syncs were closed "
        f"and {len(lost.runs)} runs ended."
    )
