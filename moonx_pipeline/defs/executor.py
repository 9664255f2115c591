"""Executes a sync's ops one after the other in one process; the run and each op are spans of its trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import dagster as dg

from moonx_pipeline.defs.dagster_private import ExecutionPlan, InProcessExecutor, PlanOrchestrationContext, RetryMode
from moonx_pipeline.sync import run_tags
from moonx_pipeline.tracing import OpenSpan, begin_span, span

P = ParamSpec("P")
T = TypeVar("T")

_spans: dict[str, OpenSpan] = {}


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
        begun, error = begin_span(run.job_name, about, parent=tags.get(run_tags.TRACE)), None
        _spans[run.run_id] = begun
        try:
            for event in super().execute(plan_context, execution_plan):
                error = event.message if event.is_failure else error
                yield event
        finally:
            del _spans[run.run_id]
            begun.end(error)


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
        run = _spans.get(context.run_id)
        about: dict[str, Any] = {"moonx.run": context.run_id}
        with span(context.op_def.name, about, parent=run.traceparent if run else None):
            return op(context, *args, **kwargs)

    return cast("Callable[Concatenate[dg.OpExecutionContext, P], T]", within)
