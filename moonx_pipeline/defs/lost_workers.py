"""Ends runs whose worker died, with that reason, and makes their users due again."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

import dagster as dg

from moonx_pipeline.clock import utc_now
from moonx_pipeline.defs.resources import PipelineRuntime
from moonx_pipeline.defs.runs import worker_of
from moonx_pipeline.storage.syncs.workers import known_workers
from moonx_pipeline.sync.recovery import Recovery, recover_lost
from moonx_pipeline.sync.runtime import Runtime

_INTERVAL_SECONDS: Final = 1  # at each tick of the daemon; see the sensor of requests
_UNDER_WAY: Final = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


class LostWork(NamedTuple):
    """What dead processes left unfinished.

    Attributes:
        recovery: The dead processes and their syncs, now closed.
        runs: Ids of their runs, now ended.
    """

    recovery: Recovery
    runs: tuple[str, ...]


def close_lost(runtime: Runtime, instance: dg.DagsterInstance, now: datetime) -> LostWork:
    """Closes what dead processes left: first their syncs, then their runs.

    Repeated or concurrent calls do no harm: each looks for what is still open.
    """
    recovery = recover_lost(runtime, now)
    under_way = {run.run_id: run for run in instance.get_runs(dg.RunsFilter(statuses=_UNDER_WAY))}
    # Read after the runs: a process is registered before it takes its first run.
    with runtime.db.engine.connect() as connection:
        known = known_workers(connection)
    workers = {run_id: worker_of(run) for run_id, run in under_way.items()}
    lost = {run_id: worker for run_id, worker in workers.items() if worker is not None and worker not in known}
    # Two processes that write a run's tags at once can lose one of them; its syncs name the process as well.
    dead = [operation for operation in recovery.operations if operation.worker_id in recovery.workers]
    lost |= {str(operation.run_id): operation.worker_id for operation in dead if operation.run_id in under_way}
    return LostWork(recovery, tuple(run_id for run_id, worker in lost.items() if _end_run(instance, run_id, worker)))


def _end_run(instance: dg.DagsterInstance, run_id: str, worker: str) -> bool:
    """Ends a dead process's run; returns ``False`` if it had ended by itself."""
    run = instance.get_run_by_id(run_id)
    if run is None or run.is_finished:
        return False
    if run.status is dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, f"Worker {worker} died before it had ended the run.")
    else:
        instance.report_run_failed(
            run,
            f"Worker {worker} died while it carried the run. What it had not stored is lost; its users are due again.",
        )
    return True


@dg.sensor(
    minimum_interval_seconds=_INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends the runs of workers that died, and makes their users due again.",
)
def lost_workers(context: dg.SensorEvaluationContext, runtime: PipelineRuntime) -> dg.SkipReason:
    lost = close_lost(runtime.value, context.instance, utc_now())
    if not lost.recovery.workers and not lost.runs:
        return dg.SkipReason("No worker died.")
    for run_id in lost.runs:
        context.log.warning(f"Run {run_id} was ended: its worker died.")
    return dg.SkipReason(
        f"{len(lost.recovery.workers)} processes had died or left; {len(lost.recovery.operations)} syncs were closed "
        f"and {len(lost.runs)} runs ended."
    )
