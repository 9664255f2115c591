"""Launches runs on the workers, and adds what Celery lacks: whether their process lives, and ending them.

The broker only delivers to workers. A worker's death shows in its database lock (see ``storage.syncs.workers``);
a run is ended by a notification.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

import click
import dagster as dg
from celery import Celery
from dagster_celery.config import TASK_EXECUTE_JOB_NAME
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.make_app import make_app
from kombu.exceptions import OperationalError

from moonx_pipeline.broker import LONGEST_RUN_SECONDS, QUEUE, announce_run, broker_url, celery_settings, prepare_broker
from moonx_pipeline.defs.dagster_private import (
    CheckRunHealthResult,
    ConfigurableClassData,
    DagsterLaunchFailedError,
    ExecuteRunArgs,
    LaunchRunContext,
    WorkerStatus,
    pack_value,
)
from moonx_pipeline.defs.runs import cancel_sync, worker_of
from moonx_pipeline.errors import OperatorError
from moonx_pipeline.settings import Settings, load_settings
from moonx_pipeline.storage.connection.engine import ready_engine
from moonx_pipeline.storage.syncs.workers import cancel_run, known_workers

_SYNC_MARGIN_SECONDS: Final = 15.0
"""A sync ends by its own deadline and reports what is missing; this limit is for one that can't."""

_SWEEP_MARGIN_SECONDS: Final = 60.0
_KILL_AFTER_SECONDS: Final = 15.0
"""From the soft limit, which raises an error in the run, to the hard limit, which kills its process."""


class WorkerRunLauncher(CeleryRunLauncher):
    """Celery's launcher on the broker that the settings name; named in ``dagster.yaml``, without config."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        # Skips the parent's __init__: it makes a Celery app, which a process that launches nothing does not need.
        super(CeleryRunLauncher, self).__init__()  # type: ignore[no-untyped-call]  # it has no types
        self._inst_data = inst_data
        self.default_queue = QUEUE

    @cached_property
    def celery(self) -> Celery:
        settings = _settings()
        prepare_broker(settings)
        app: Celery = make_app({"broker": broker_url(settings), "config_source": celery_settings(settings)})
        return app

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> WorkerRunLauncher:
        return cls(inst_data=inst_data)

    def launch_run(self, context: LaunchRunContext) -> None:
        run = context.dagster_run
        self._instance.report_engine_event("Waits for a worker.", run, cls=self.__class__)
        try:
            self._send(run)
        except OperationalError as problem:
            why = str(problem).rstrip(".")
            raise DagsterLaunchFailedError(
                f"Run {run.run_id} can't be handed to a worker, since the broker can't be used: {why}. Start the "
                "broker, or check CELERY_BROKER_URL or REDIS_*; then launch the run again."
            ) from None

    def send_again(self, run: dg.DagsterRun) -> None:
        """Sends a run whose message was lost; a worker leaves it if another has taken it.

        Raises:
            OperationalError: The broker can't be used.
        """
        self._send(run)
        self._instance.report_engine_event(
            "The broker lost its message, which was sent again. Waits for a worker.", run, cls=self.__class__
        )

    def _send(self, run: dg.DagsterRun) -> None:
        assert run.job_code_origin is not None  # noqa: S101 - Dagster checks it before it launches
        args = ExecuteRunArgs(
            job_origin=run.job_code_origin,
            run_id=run.run_id,
            instance_ref=self._instance.get_ref(),
            set_exit_code_on_failure=True,
        )
        limit = time_limit_seconds(_settings(), run.job_name)
        # The parent writes the task's id into the run's tags after sending, when a worker may write its own tag:
        # one of the two would be lost. With the run's id as the task's, no tag is needed.
        self.celery.send_task(
            TASK_EXECUTE_JOB_NAME,
            kwargs={"execute_job_args_packed": pack_value(args)},
            task_id=run.run_id,
            queue=QUEUE,
            routing_key=f"{QUEUE}.{TASK_EXECUTE_JOB_NAME}",
            soft_time_limit=limit,
            time_limit=limit + _KILL_AFTER_SECONDS,
        )
        announce_run(_settings())

    def terminate(self, run_id: str) -> bool:
        """Ends a run: first its stored sync, then the process that executes it is notified."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        engine = ready_engine(_settings())
        cancel_sync(engine, run)
        run = self._instance.get_run_by_id(run_id)
        if run is not None and run.status not in (dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED):
            self._instance.report_run_canceling(run)
        with engine.begin() as connection:
            cancel_run(connection, run_id)
        run = self._instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished and worker_of(run) is None:
            self._instance.report_run_canceled(run, "The run was terminated before a worker took it.")
        return True

    @property
    def supports_resume_run(self) -> bool:
        return False

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the process that took the run lives; a run that none has taken waits in the broker."""
        worker = worker_of(run)
        if worker is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "No worker has marked it as its own.")
        with ready_engine(_settings()).connect() as connection:
            if worker in known_workers(connection):
                return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"Worker {worker} died while it carried the run.")

    def get_run_worker_debug_info(self, run: dg.DagsterRun, include_container_logs: bool | None = True) -> str | None:
        return f"Worker: {worker_of(run) or 'none has taken the run yet'}."


def time_limit_seconds(settings: Settings, job_name: str) -> float:
    """The time limit of a job's run."""
    if job_name == "portfolio_sync":
        return settings.worker.timeout_ms / 1000 + _SYNC_MARGIN_SECONDS
    if job_name == "portfolio_sweep":
        longest = max(settings.periodic.market_hours_ms, settings.periodic.off_hours_ms)
        return longest / 1000 + _SWEEP_MARGIN_SECONDS
    return LONGEST_RUN_SECONDS


def _settings() -> Settings:
    try:
        return load_settings()
    except OperatorError as problem:
        raise click.ClickException(str(problem)) from None
