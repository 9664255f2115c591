"""The Celery app of the workers: Dagster's own task, with what we need around it."""

from __future__ import annotations

import logging
from typing import Any

import structlog
from celery import Celery, Task
from celery.signals import setup_logging, worker_process_init, worker_process_shutdown
from dagster_celery.make_app import make_app
from dagster_celery.tasks import create_execute_job_task
from kombu.entity import Queue

from moonx_pipeline.broker import QUEUE, broker_url, celery_settings, prepare_broker
from moonx_pipeline.settings import Settings
from moonx_pipeline.worker.process import enter_process, leave_process, this_process

_log = structlog.get_logger("worker")

_LOST_SECONDS = 2.0
"""How long a process that is gone may have left an answer behind in its pipe."""


class RunTask(Task):  # type: ignore[misc]  # Celery has no types
    """Dagster's task, carried by this process; its id is the run's."""

    abstract = True

    def __call__(self, *arguments: Any, **named: Any) -> None:
        this_process().run_to_end(self.request.id, lambda: self.run(*arguments, **named))


def worker_app(settings: Settings) -> Celery:
    """The app that ``moonx worker`` runs."""
    prepare_broker(settings)
    app: Celery = make_app({"broker": broker_url(settings), "config_source": celery_settings(settings)})
    worker = settings.worker
    app.conf.update(
        task_queues=[Queue(QUEUE, routing_key=f"{QUEUE}.#")],
        # A process is sent a run only when it is free, so none waits behind another in a worker that may die.
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        worker_concurrency=worker.concurrency,
        worker_max_tasks_per_child=worker.max_jobs,
        worker_max_memory_per_child=worker.max_memory_mb * 1024,
        broker_connection_max_retries=None,
        worker_lost_wait=_LOST_SECONDS,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
    )
    create_execute_job_task(app, base=RunTask)  # type: ignore[arg-type]  # it takes any option of a Celery task
    worker_process_init.connect(enter_process)
    worker_process_shutdown.connect(leave_process)
    setup_logging.connect(_set_up_logging)
    return app


class _Lines(logging.Handler):
    """What Celery has to say, in our lines: of the broker that is away, and of processes that died."""

    def emit(self, record: logging.LogRecord) -> None:
        _log.log(record.levelno, record.getMessage().splitlines()[0])


def _set_up_logging(**_: object) -> None:
    """Celery would give the root logger a format of its own, and print tracebacks of a broker that is away."""
    for name in ("celery", "multiprocessing"):
        logger = logging.getLogger(name)
        logger.handlers = [_Lines(logging.WARNING)]
        logger.propagate = False
