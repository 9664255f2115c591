"""Executes a sync's ops one after the other in one process, with a trace span for the run and one for each op."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar, cast

import dagster as dg

from moonx_pipeline.defs.dagster_private import (
    ExecutionPlan,
    InProcessExecutor,
    PlanOrchestrationContext,
    RetryMode,
)
from moonx_pipeline.sync import run_tags
from moonx_pipeline.tracing import note_failure, span

P = ParamSpec("P")
T = TypeVar("T")


class SyncExecutor(InProcessExecutor):
    """Dagster's executor in the run's own process, as a span. Ops wait for calls that the first of them started."""

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        run, tags = plan_context.dagster_run, plan_context.dagster_run.tags
        about = {
            "moonx.run": run.run_id,
            "moonx.user": tags.get(run_tags.PARTITION),
            "moonx.request": tags.get(run_tags.REQUEST),
            "moonx.trigger": tags.get(run_tags.TRIGGER),
        }
        with span(run.job_name, about, parent=tags.get(run_tags.TRACE)):
            for event in super().execute(plan_context, execution_plan):
                if event.is_failure and event.message:
                    note_failure(event.message)
                yield event


@dg.executor(name="sync_executor")
def sync_executor(_context: dg.InitExecutorContext) -> SyncExecutor:
    """Ops run one after the other; nothing is retried here."""
    return SyncExecutor(RetryMode.DISABLED)


def traced(
    op: Callable[Concatenate[dg.OpExecutionContext, P], T],
) -> Callable[Concatenate[dg.OpExecutionContext, P], T]:
    """Makes an op's work a span within its run's."""

    @wraps(op)
    def within(context: dg.OpExecutionContext, *args: P.args, **kwargs: P.kwargs) -> T:
        with span(context.op_def.name, {"moonx.run": context.run_id}):
            return op(context, *args, **kwargs)

    return cast("Callable[Concatenate[dg.OpExecutionContext, P], T]", within)
