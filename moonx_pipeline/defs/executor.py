"""How the ops of a sync are executed: side by side in one process, and ended at once when their run is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextvars import copy_context
from typing import ParamSpec, TypeVar

import dagster as dg
from dagster._core.errors import raise_execution_interrupts
from dagster._core.execution.context.system import PlanExecutionContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._utils import iterate_with_context
from dagster_async_executor.executor import AsyncExecutor

P = ParamSpec("P")
T = TypeVar("T")


class SyncExecutor(AsyncExecutor):  # type: ignore[misc]  # it has no types
    """The async executor, which an interrupt reaches while it waits for its ops."""

    def _execution_iterator_wrapper(
        self, job_context: PlanExecutionContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        # Dagster keeps interrupts back but where it is told that they may be raised. Its own executors tell it of
        # each op; without this, a run that hangs would be ended when its ops have ended by themselves.
        events = super()._execution_iterator_wrapper(job_context, execution_plan)
        return iterate_with_context(raise_execution_interrupts, events)


@dg.executor(name="sync_executor")
def sync_executor(_context: dg.InitExecutorContext) -> SyncExecutor:
    """Ops that are coroutines run side by side; nothing is tried again here."""
    return SyncExecutor(RetryMode.DISABLED)


async def in_thread(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Awaits a call in a thread of its own. Who stops waiting leaves the call to itself.

    ``asyncio.to_thread`` has its threads joined when the loop ends: a call that hangs would hold up the end of a
    run that is cancelled.
    """
    future: Future[T] = Future()
    context = copy_context()

    def call() -> None:
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(context.run(function, *arguments, **named))
            except BaseException as error:
                future.set_exception(error)

    threading.Thread(target=call, name="op", daemon=True).start()
    return await asyncio.wrap_future(future)
