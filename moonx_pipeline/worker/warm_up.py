"""A run of nothing before the processes are forked: what Dagster imports and builds at its first run is there then."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import dagster as dg

from moonx_pipeline.definitions import defs
from moonx_pipeline.defs.executor import sync_executor

_ASKED_FOR_IN_RUNS: Final = ("moonx_pipeline.defs.run_coordinator", "moonx_pipeline.events.publish")
"""Modules that each run imports when it needs them."""


@dg.op
async def nothing() -> None:
    """Does nothing."""


@dg.job(executor_def=sync_executor)
def warm_up_job() -> None:
    nothing()


def warm_up() -> None:
    """Imports what runs import later, builds all jobs, and runs one of nothing in memory."""
    for module in _ASKED_FOR_IN_RUNS:
        import_module(module)
    repository = defs.get_repository_def()
    for name in repository.job_names:
        repository.get_job(name)
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        dg.execute_job(dg.reconstructable(warm_up_job), instance=instance, run_config=quiet)
