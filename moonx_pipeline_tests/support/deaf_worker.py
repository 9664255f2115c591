"""``moonx worker`` that stops consuming while it lives: its consumer cancels its own queue, as Celery lets it."""

from __future__ import annotations

from typing import Any

from celery import bootsteps
from celery.signals import celeryd_init

from moonx_pipeline.broker import QUEUE
from moonx_pipeline.cli import main
from moonx_pipeline.worker import stall

# A fifth of what they are, in proportion.
stall._NOTICED_SECONDS, stall._ENDS_SECONDS, stall._LOOK_SECONDS = 3.0, 9.0, 0.6


class _CancelsItsQueue(bootsteps.StartStopStep):
    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, consumer: Any) -> None:
        consumer.cancel_task_queue(QUEUE)


@celeryd_init.connect
def _add_step(instance: Any, **_: Any) -> None:
    instance.app.steps["consumer"].add(_CancelsItsQueue)


if __name__ == "__main__":
    main(["worker"])
