"""How the ops of a sync are executed: side by side in one process, and ended at once when their run is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from typing import ParamSpec, TypeVar

import dagster as dg
from anyio.lowlevel import checkpoint
from anyio.streams.memory import MemoryObjectSendStream
from dagster._core.errors import raise_execution_interrupts
from dagster._core.execution.context.system import PlanExecutionContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.plan.state import KnownExecutionState
from dagster._core.execution.plan.step import ExecutionStep
from dagster._core.execution.retries import RetryMode
from dagster._utils import iterate_with_context
from dagster_async_executor.executor import AsyncExecutor

from moonx_pipeline.sync import run_tags
from moonx_pipeline.tracing import begin_span, span

P = ParamSpec("P")
T = TypeVar("T")


class SyncExecutor(AsyncExecutor):  # type: ignore[misc]  # it has no types
    """The async executor, which an interrupt reaches while it waits for its ops; the run and each op are spans."""

    _traceparent: str | None = None

    def _execution_iterator_wrapper(
        self, job_context: PlanExecutionContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        run, tags = job_context.dagster_run, job_context.dagster_run.tags
        about = {
            "moonx.run": run.run_id,
            "moonx.user": tags.get(run_tags.PARTITION),
            "moonx.request": tags.get(run_tags.REQUEST),
            "moonx.trigger": tags.get(run_tags.TRIGGER),
        }
        begun, error = begin_span(run.job_name, about, parent=tags.get(run_tags.TRACE)), None
        self._traceparent = begun.traceparent
        try:
            # Dagster keeps interrupts back but where it is told that they may be raised. Its own executors tell it of
            # each op; without this, a run that hangs would be ended when its ops have ended by themselves.
            events = super()._execution_iterator_wrapper(job_context, execution_plan)
            for event in iterate_with_context(raise_execution_interrupts, events):
                error = event.message if event.is_failure else error
                yield event
        finally:
            begun.end(error)

    async def _run_step_worker(
        self,
        job_context: PlanExecutionContext,
        known_state: KnownExecutionState,
        step: ExecutionStep,
        send_stream: MemoryObjectSendStream[dg.DagsterEvent],
    ) -> None:
        with span(step.op_name, {"moonx.run": job_context.run_id}, parent=self._traceparent):
            await super()._run_step_worker(job_context, known_state, step, _Events(send_stream))


class _Events:
    """Where an op's events go, until the op is cancelled: then nowhere, and the op comes to its own end.

    An op that is cancelled as it hands over an event would be left suspended there, and be closed from a task that is
    not its own, which fails, and is told of as an error.
    """

    def __init__(self, stream: MemoryObjectSendStream[dg.DagsterEvent]) -> None:
        self._stream = stream

    async def __aenter__(self) -> _Events:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stream.close()

    async def send(self, event: dg.DagsterEvent) -> None:
        # The op is cancelled again at whatever it awaits next.
        with suppress(asyncio.CancelledError):
            await self._stream.send(event)


@dg.executor(name="sync_executor")
def sync_executor(_context: dg.InitExecutorContext) -> SyncExecutor:
    """Ops that are coroutines run side by side; nothing is tried again here."""
    return SyncExecutor(RetryMode.DISABLED)


async def in_thread(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Awaits a call in a thread of its own. Who stops waiting leaves the call to itself.

    ``asyncio.to_thread`` has its threads joined when the loop ends: a call that hangs would hold up the end of a
    run that is cancelled.
    """
    await checkpoint()  # nothing is begun for an op that is cancelled
    future: Future[T] = Future()
    context = copy_context()

    def call() -> None:
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(context.run(function, *arguments, **named))
            except StopIteration as error:
                # asyncio takes it into no future: the op that awaits the call would wait for ever.
                future.set_exception(RuntimeError(f"{function} raised StopIteration: {error}"))
            except BaseException as error:
                future.set_exception(error)

    threading.Thread(target=call, name="op", daemon=True).start()
    return await asyncio.wrap_future(future)
