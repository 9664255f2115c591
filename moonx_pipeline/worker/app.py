"""The workers' Celery app: Dagster's own task with our settings, process hooks and log lines."""

from __future__ import annotations

import logging
import time
from typing import Any

import structlog
from celery import Celery, Task
from celery.signals import setup_logging, worker_process_init, worker_process_shutdown
from celery.worker.consumer import Consumer
from celery.worker.request import Request
from dagster_celery.make_app import make_app
from dagster_celery.tasks import create_execute_job_task
from kombu.entity import Queue

from moonx_pipeline.broker import QUEUE, broker_url, celery_settings, prepare_broker
from moonx_pipeline.settings import Settings
from moonx_pipeline.worker.process import enter_process, leave_process, this_process

_log = structlog.get_logger("worker")

_LOST_SECONDS = 2.0
"""How long a result that a dead process left in its pipe is still waited for."""

_REFUSED_SECONDS = 2.0
"""From a command that the broker refused to the next try."""


class RunRequest(Request):  # type: ignore[misc]  # Celery has no types
    """A received message; one that can't be acknowledged makes the worker connect to the broker anew.

    Celery would only log the errors that are given here, and kombu would go on counting the message as unacknowledged.
    With as many of them as processes, the worker asks Redis for no more, and so never notices that the connection is
    lost. An error that is not caught here ends the consumer's loop, and Celery connects anew.
    """

    def __init__(self, message: Any, **options: Any) -> None:
        super().__init__(message, **{**options, "connection_errors": ()})


class RunConsumer(Consumer):  # type: ignore[misc]  # Celery has no types
    """Waits for a Redis that refuses commands, as one whose memory is full does; Celery's own would end the worker.

    To a broker that is away Celery itself connects with pauses. A refused command fails at once, again and again.
    """

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        super().on_connection_error_before_connected(exc)
        self._pause(exc)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        super().on_connection_error_after_connected(exc)
        self._pause(exc)

    def _pause(self, exc: Exception) -> None:
        if isinstance(exc, self.channel_errors):
            time.sleep(_REFUSED_SECONDS)


class RunTask(Task):  # type: ignore[misc]  # Celery has no types
    """Dagster's task, executed by this process; its id is the run's."""

    abstract = True
    Request = RunRequest

    def __call__(self, *arguments: Any, **named: Any) -> None:
        this_process().run_to_end(self.request.id, lambda: self.run(*arguments, **named))


def worker_app(settings: Settings) -> Celery:
    """The app that ``moonx worker`` runs."""
    prepare_broker(settings)
    app: Celery = make_app({"broker": broker_url(settings), "config_source": celery_settings(settings)})
    worker = settings.worker
    app.conf.update(
        task_queues=[Queue(QUEUE, routing_key=f"{QUEUE}.#")],
        # Only a free process is sent a run, so none waits behind another in a worker that may die.
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        worker_concurrency=worker.concurrency,
        worker_max_tasks_per_child=worker.max_jobs,
        worker_max_memory_per_child=worker.max_memory_mb * 1024,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        worker_consumer=RunConsumer,
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
    """Writes Celery's warnings (broker away, process died) as our log lines."""

    def emit(self, record: logging.LogRecord) -> None:
        _log.log(record.levelno, record.getMessage().splitlines()[0])


def _set_up_logging(**_: object) -> None:
    """Replaces Celery's logging, which reformats the root logger and prints tracebacks while the broker is away."""
    for name in ("celery", "multiprocessing"):
        logger = logging.getLogger(name)
        logger.handlers = [_Lines(logging.WARNING)]
        logger.propagate = False
