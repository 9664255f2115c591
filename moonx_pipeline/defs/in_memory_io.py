"""The IO manager of a sync's run: ops pass values in the memory of the process that executes the run."""

from __future__ import annotations

from typing import Any

import dagster as dg


class InMemoryIOManager(dg.IOManager):
    """Keeps an op's output for the ops after it, for as long as the run lasts.

    A sync is one piece of work in one process: its connections and calls in progress can't be stored, and storing the
    rest would cost more than reading it again. So a run is retried as a whole.
    """

    def __init__(self) -> None:
        self._outputs: dict[tuple[str, ...], Any] = {}

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        self._outputs[tuple(context.get_identifier())] = obj

    def load_input(self, context: dg.InputContext) -> object:
        key = tuple(context.get_identifier())
        if key not in self._outputs:
            raise dg.Failure(
                f"The output of the op before '{context.op_def.name}' was in the memory of a run that is over. "
                "Start a new run of this partition: a sync is retried as a whole.",
                allow_retries=False,
            )
        return self._outputs[key]


@dg.io_manager(description="Keeps values in memory for the ops of one run.")
def in_memory_io(_context: dg.InitResourceContext) -> InMemoryIOManager:
    return InMemoryIOManager()
