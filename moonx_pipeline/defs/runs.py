"""What a Dagster run says of itself: which process took it, which request it serves; and the end of its sync."""

from __future__ import annotations

from typing import Final
from uuid import UUID

import dagster as dg
from sqlalchemy import Engine

from moonx_pipeline.clock import utc_now
from moonx_pipeline.sync import run_tags
from moonx_pipeline.sync.cancel import cancel_operation, cancel_request

ENDED: Final = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
UNDER_WAY: Final = [status for status in dg.DagsterRunStatus if status not in ENDED]

_TERMINATED: Final = "The run was terminated."


def worker_of(run: dg.DagsterRun) -> str | None:
    """The process that took the run; ``None`` while none has."""
    return run.tags.get(run_tags.WORKER) or None


def request_of(run: dg.DagsterRun) -> UUID | None:
    """The request that the run serves. One that is executed again has its parent's tags, and serves none."""
    request_id = run.tags.get(run_tags.REQUEST)
    return UUID(request_id) if request_id and run.parent_run_id is None else None


def forget_parents_worker(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Takes off a run that is executed again that it was taken; to be done before it is launched."""
    if worker_of(run) is not None:
        instance.add_run_tags(run.run_id, {run_tags.WORKER: ""})


def cancel_sync(engine: Engine, run: dg.DagsterRun, message: str = _TERMINATED) -> None:
    """Ends what is stored of a run's sync, or the request that the run was to serve and did not come to.

    Of a sweep nothing is to be done here: its process hands back what it has when it is told to end.
    """
    request_id = request_of(run)
    if cancel_operation(engine, UUID(run.run_id), message, utc_now()) is None and request_id is not None:
        cancel_request(engine, request_id, message)
