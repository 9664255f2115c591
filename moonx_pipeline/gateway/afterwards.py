"""Work that follows an answer, in threads of its own.

It waits for Dagster and for locks of users, and no request waits for it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, ParamSpec

import anyio
import anyio.to_thread
from starlette.background import BackgroundTask

P = ParamSpec("P")

_THREADS: Final = 4
"""For what users asked for, and as many for what their views cause. Each may use a connection."""


class Afterwards:
    """The threads of a gateway for what follows its answers."""

    threads: Final = 2 * _THREADS

    def __init__(self) -> None:
        self._acts = anyio.CapacityLimiter(_THREADS)
        self._views = anyio.CapacityLimiter(_THREADS)
        self._viewed: set[str] = set()

    def act(self, work: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> BackgroundTask:
        """Work that a user asked for."""
        return BackgroundTask(anyio.to_thread.run_sync, partial(work, *args, **kwargs), limiter=self._acts)

    def view(self, user_id: str, work: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> BackgroundTask:
        """Work that a user's view causes: once, however often they look before it is done."""
        return BackgroundTask(self._view, user_id, partial(work, *args, **kwargs))

    async def _view(self, user_id: str, work: Callable[[], object]) -> None:
        if user_id in self._viewed:
            return
        self._viewed.add(user_id)
        try:
            await anyio.to_thread.run_sync(work, limiter=self._views)
        finally:
            self._viewed.discard(user_id)
