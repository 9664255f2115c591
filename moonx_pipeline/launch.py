"""Executes the real job in this process, as ``dagster job execute`` does."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dagster as dg

from moonx_pipeline.defs.dagster_private import ReconstructableJob


def _portfolio_sync() -> dg.JobDefinition:
    from moonx_pipeline.definitions import defs  # imported where the run is executed

    return defs.resolve_job_def("portfolio_sync")


def run_portfolio_sync(
    instance: dg.DagsterInstance, user_id: str, tags: Mapping[str, str] | None = None, *, log_level: str = "INFO"
) -> dg.ExecuteJobResult:
    """Executes ``portfolio_sync`` for one user with the job's own executor, and waits for its end.

    Call it on the main thread, the only one that is interrupted.

    Args:
        instance: Records the run.
        user_id: The partition.
        tags: Run tags beside the partition's, such as ``moonx/request``.
        log_level: The lowest severity of events to print; all are recorded.

    Raises:
        KeyboardInterrupt: It was interrupted. The run has ended, as failed unless its end was already being recorded.
    """
    with _no_interrupt_lost():
        return dg.execute_job(
            # Not dg.reconstructable, which swallows interrupts.
            ReconstructableJob.for_module(__name__, _portfolio_sync.__name__),
            instance=instance,
            tags={"dagster/partition": user_id, **(tags or {})},
            run_config={"loggers": {"console": {"config": {"log_level": log_level}}}},
            raise_on_error=False,
        )


@contextmanager
def _no_interrupt_lost() -> Iterator[None]:
    """Raises at its end an interrupt that was held back within it.

    Dagster ends an interrupted run and returns it like any other, and forgets an interrupt that comes while it records
    the run's end. Python also writes each signal's number to a descriptor, whatever handles the signal.

    Raises:
        KeyboardInterrupt: It was interrupted.
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
