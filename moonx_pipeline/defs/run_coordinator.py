"""Decides which runs start at once, and which wait until workers have room.

Runs of users and schedules are launched when submitted, without the daemon. Backfills and runs of low priority
wait in Dagster's queue; the daemon takes them while one process stays free, so clicks overtake thousands of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import dagster as dg

from moonx_pipeline.defs.dagster_private import (
    ConfigurableClassData,
    QueuedRunCoordinator,
    RunQueueConfig,
    SubmitRunContext,
)
from moonx_pipeline.defs.runs import cancel_sync, forget_parents_worker
from moonx_pipeline.settings import load_settings
from moonx_pipeline.storage.connection.engine import ready_engine
from moonx_pipeline.storage.syncs.workers import list_workers
from moonx_pipeline.sync import run_tags

_DEQUEUE_SECONDS: Final = 1


class WorkerRunCoordinator(QueuedRunCoordinator[dg.DagsterInstance]):
    """Dagster's queue for runs that may wait, none for the rest; named in ``dagster.yaml``, without config."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(dequeue_interval_seconds=_DEQUEUE_SECONDS, inst_data=inst_data)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]
    ) -> WorkerRunCoordinator:
        return cls(inst_data=inst_data)

    def get_run_queue_config(self) -> RunQueueConfig:
        """The queue's current limit: one less than the processes that take runs, and at least one."""
        with ready_engine(load_settings()).connect() as connection:
            processes = sum(worker.takes_runs and worker.alive for worker in list_workers(connection))
        return RunQueueConfig(
            max_concurrent_runs=max(1, processes - 1),
            tag_concurrency_limits=None,
            should_block_op_concurrency_limited_runs=False,
        )

    def submit_run(self, context: SubmitRunContext) -> dg.DagsterRun:
        run = context.dagster_run
        if run.status is not dg.DagsterRunStatus.NOT_STARTED:
            return super().submit_run(context)
        forget_parents_worker(self._instance, run)
        if may_wait(run.tags):
            return super().submit_run(context)
        return self._instance.launch_run(run.run_id, context.workspace)

    def cancel_run(self, run_id: str) -> bool:
        run = self._instance.get_run_by_id(run_id)
        if run is not None and run.status is dg.DagsterRunStatus.QUEUED:
            cancel_sync(ready_engine(load_settings()), run)
        return super().cancel_run(run_id)


def may_wait(tags: Mapping[str, str]) -> bool:
    """Whether a run waits in the queue, by its tags."""
    return run_tags.BACKFILL in tags or tags.get(run_tags.PRIORITY) == "low"
