"""Running the real job in this process, as ``dagster job execute`` does."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg
from dagster._core.events import RunFailureReason


def _portfolio_sync() -> dg.JobDefinition:
    from moonx_pipeline.definitions import defs  # imported by the run, wherever it is executed

    return defs.resolve_job_def("portfolio_sync")


def run_portfolio_sync(
    instance: dg.DagsterInstance, user_id: str, tags: Mapping[str, str] | None = None, *, log_level: str = "INFO"
) -> dg.ExecuteJobResult:
    """Executes ``portfolio_sync`` for one user, with the job's own executor, and waits for its end.

    Args:
        instance: Where the run is recorded.
        user_id: The partition.
        tags: Run tags beside the partition's, such as ``moonx/request``.
        log_level: The least severe of the run's events that are printed; all are recorded.

    Raises:
        KeyboardInterrupt: While it ran. The run has ended as failed.
    """
    result = dg.execute_job(
        dg.reconstructable(_portfolio_sync),
        instance=instance,
        tags={"dagster/partition": user_id, **(tags or {})},
        run_config={"loggers": {"console": {"config": {"log_level": log_level}}}},
        raise_on_error=False,
    )
    # Dagster ends the run, and keeps what ended it to itself.
    for event in result.all_events:
        if event.is_job_failure and event.job_failure_data.failure_reason is RunFailureReason.UNEXPECTED_TERMINATION:
            raise KeyboardInterrupt
    return result
