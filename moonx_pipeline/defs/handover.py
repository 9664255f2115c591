"""How the ops of one run hand over to each other: in the memory of the process that carries it."""

from __future__ import annotations

from typing import Any

import dagster as dg


class InRunHandover(dg.IOManager):
    """Keeps what an op gives for the ops after it, for as long as the run lasts.

    A sync is one piece of work in one process: its connections and calls under way can't be stored, and
    storing the rest would cost more than reading it anew. So a run is repeated as a whole.
    """

    def __init__(self) -> None:
        self._given: dict[tuple[str, ...], Any] = {}

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        self._given[tuple(context.get_identifier())] = obj

    def load_input(self, context: dg.InputContext) -> object:
        key = tuple(context.get_identifier())
        if key not in self._given:
            raise dg.Failure(
                f"What the op before '{context.op_def.name}' gave was in the memory of a run that is over. "
                "Start a new run of this partition: a sync is repeated as a whole.",
                allow_retries=False,
            )
        return self._given[key]


@dg.io_manager(description="Keeps values in memory for the ops of one run.")
def in_run_handover(_context: dg.InitResourceContext) -> InRunHandover:
    return InRunHandover()
