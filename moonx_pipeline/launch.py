"""Running the real job in this process, as ``dagster job execute`` does."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dagster as dg

from moonx_pipeline.defs.dagster_private import ReconstructableJob


def _portfolio_sync() -> dg.JobDefinition:
    from moonx_pipeline.definitions import defs  # imported by the run, wherever it is executed

    return defs.resolve_job_def("portfolio_sync")


def run_portfolio_sync(
    instance: dg.DagsterInstance, user_id: str, tags: Mapping[str, str] | None = None, *, log_level: str = "INFO"
) -> dg.ExecuteJobResult:
    """Executes ``portfolio_sync`` for one user, with the job's own executor, and waits for its end.

    To be called in the main thread, which is the one that is interrupted.

    Args:
        instance: Where the run is recorded.
        user_id: The partition.
        tags: Run tags beside the partition's, such as ``moonx/request``.
        log_level: The least severe of the run's events that are printed; all are recorded.

    Raises:
        KeyboardInterrupt: An interrupt came meanwhile. The run has ended: as failed, or as it did where it came last.
    """
    with _no_interrupt_lost():
        return dg.execute_job(
            # Not dg.reconstructable, which swallows an interrupt that reaches it.
            ReconstructableJob.for_module(__name__, _portfolio_sync.__name__),
            instance=instance,
            tags={"dagster/partition": user_id, **(tags or {})},
            run_config={"loggers": {"console": {"config": {"log_level": log_level}}}},
            raise_on_error=False,
        )


@contextmanager
def _no_interrupt_lost() -> Iterator[None]:
    """Raises at the end what was kept back on the way.

    Dagster ends a run that is interrupted and returns it like any other, and forgets what comes while it records the
    run's end. Python writes the number of each signal to a descriptor too, whoever handles it.

    Raises:
        KeyboardInterrupt: An interrupt came.
    """
    heard, written = os.pipe()
    try:
        os.set_blocking(heard, False)
        os.set_blocking(written, False)
        before = signal.set_wakeup_fd(written)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
        try:
            signals = os.read(heard, 1024)
        except BlockingIOError:
            return
        if {signal.SIGINT, signal.SIGTERM}.intersection(signals):
            raise KeyboardInterrupt
    finally:
        os.close(heard)
        os.close(written)
