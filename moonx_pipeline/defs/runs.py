"""Reads a Dagster run's worker and request from its tags, and cancels its sync."""

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
    """The process that took the run; ``None`` until one does."""
    return run.tags.get(run_tags.WORKER) or None


def request_of(run: dg.DagsterRun) -> UUID | None:
    """The request that the run serves. A re-executed run has its parent's tags but serves none."""
    request_id = run.tags.get(run_tags.REQUEST)
    return UUID(request_id) if request_id and run.parent_run_id is None else None


def forget_parents_worker(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Clears the parent's worker tag of a re-executed run; call it before the launch."""
    if worker_of(run) is not None:
        instance.add_run_tags(run.run_id, {run_tags.WORKER: ""})


def cancel_sync(engine: Engine, run: dg.DagsterRun, message: str = _TERMINATED) -> None:
    """Cancels a run's stored sync, or the request that the run has not begun to serve.

    Sweep runs need no action: their process releases its claims when interrupted.
    """
    request_id = request_of(run)
    if cancel_operation(engine, UUID(run.run_id), message, utc_now()) is None and request_id is not None:
        cancel_request(engine, request_id, message)
