"""A thread pool that executes calls in the caller's context, so that their log lines and spans belong to it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class ContextPool(ThreadPoolExecutor):
    """A thread pool whose calls see the context variables of the code that submits them."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Submits a call."""
        context = copy_context()
        return super().submit(lambda: context.run(fn, *args, **kwargs))
