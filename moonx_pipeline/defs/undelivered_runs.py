"""Sends runs again whose message the broker lost, such as a Redis that was restarted, or froze and lost its readers.

Without it such a run would wait for a worker until run monitoring ends it, and everything that waits for the run with
it: the user's next clicks, which join its request, and the next sweeps.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import dagster as dg

from moonx_pipeline.clock import utc_now
from moonx_pipeline.defs.resources import PipelineSettings
from moonx_pipeline.defs.runs import worker_of
from moonx_pipeline.settings import Settings

LOST_AFTER: Final = timedelta(seconds=15)
"""A worker marks a run as its own within a moment after its message has left the queue; even a process that has yet
to start does so within seconds."""

_SENT_AT_ONCE: Final = 200
_INTERVAL_SECONDS: Final = 1  # at each tick of the daemon; see the sensor of requests


def send_undelivered(instance: dg.DagsterInstance, settings: Settings, now: datetime) -> list[str]:
    """Sends runs again that no worker has taken and no message in the broker names; returns their ids.

    A message too many does no harm: a process leaves a run that another has taken.

    Raises:
        OperationalError: Redis can't be used.
    """
    # Celery takes a tenth of a start, and of the processes that load this module only the daemon's need it.
    from moonx_pipeline.broker import waiting_runs
    from moonx_pipeline.defs.run_launcher import WorkerRunLauncher

    launcher = instance.run_launcher
    before = now - LOST_AFTER
    starting = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING], updated_before=before)
    late = [run.run_id for run in instance.get_runs(starting, ascending=True) if worker_of(run) is None]
    if not late or not isinstance(launcher, WorkerRunLauncher):
        return []
    waiting = waiting_runs(settings)
    sent: list[str] = []
    for run_id in late:
        if len(sent) == _SENT_AT_ONCE:
            break
        if run_id in waiting or _last_sent_at(instance, run_id) > before.timestamp():
            continue
        run = instance.get_run_by_id(run_id)  # a worker may have taken it since
        if run is not None and run.status is dg.DagsterRunStatus.STARTING and worker_of(run) is None:
            launcher.send_again(run)
            sent.append(run_id)
    return sent


def _last_sent_at(instance: dg.DagsterInstance, run_id: str) -> float:
    """When a run was sent last, as a Unix time: the launcher reports each sending as an event."""
    events = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT, limit=1, ascending=False)
    return max((record.timestamp for record in events.records), default=0.0)


@dg.sensor(
    minimum_interval_seconds=_INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Sends runs again whose message the broker lost.",
)
def undelivered_runs(context: dg.SensorEvaluationContext, settings: PipelineSettings) -> dg.SkipReason:
    from kombu.exceptions import OperationalError

    try:
        sent = send_undelivered(context.instance, settings.values, utc_now())
    except OperationalError as problem:
        return dg.SkipReason(f"Redis can't be used, runs wait until it can: {problem}")
    for run_id in sent:
        context.log.warning(f"Run {run_id} was sent again: the broker has lost its message.")
    return dg.SkipReason(f"{len(sent)} runs were sent again." if sent else "No run's message was lost.")
