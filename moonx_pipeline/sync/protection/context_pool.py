"""Threads that do a call as part of what asked for it: its lines in the log and its spans say so."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class ContextPool(ThreadPoolExecutor):
    """Threads that have the context variables of whoever submits a call."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Has a call done."""
        context = copy_context()
        return super().submit(lambda: context.run(fn, *args, **kwargs))
