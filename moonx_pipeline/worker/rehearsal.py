"""A run of nothing before the processes are forked: what Dagster imports and builds at its first run is there then."""

from __future__ import annotations

import dagster as dg

from moonx_pipeline.definitions import defs
from moonx_pipeline.defs.executor import sync_executor


@dg.op
async def nothing() -> None:
    """Does nothing."""


@dg.job(executor_def=sync_executor)
def rehearsal() -> None:
    nothing()


def rehearse() -> None:
    """Builds all jobs, and runs one of nothing in memory."""
    repository = defs.get_repository_def()
    for name in repository.job_names:
        repository.get_job(name)
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        dg.execute_job(dg.reconstructable(rehearsal), instance=instance, run_config=quiet)
