"""A thread that reads a source while the gateway lives, and passes what it reads to the event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from datetime import datetime
from typing import Any, Final, Generic, Protocol, TypeVar

import structlog

from moonx_pipeline.clock import utc_now
from moonx_pipeline.domain.events import rfc3339
from moonx_pipeline.events.stream import StreamUnavailable

T = TypeVar("T")

_READ_SECONDS: Final = 0.5
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
_STALLED_SECONDS: Final = 15.0
"""A source that has not returned for this long counts as hanging."""

_STOP_SECONDS: Final = 0.9
_log = structlog.get_logger("live")


class Source(Protocol[T]):
    """A source to read, such as ``events.stream.EventStream``."""

    def open(self) -> None: ...

    def read(self, seconds: float) -> list[T]: ...

    def has_skipped(self) -> bool: ...

    def close(self) -> None: ...


class Feed(Generic[T]):
    """Reads a source until stopped; while the source is away it keeps trying."""

    def __init__(
        self, name: str, source: Source[T], deliver: Callable[[list[T], bool], Coroutine[Any, Any, None]]
    ) -> None:
        """Reads nothing before ``start``.

        Args:
            name: Its name in log lines and health.
            source: The source; only the feed's own thread uses it.
            deliver: Called with what was read, and whether anything may have been missed before it. It runs in the
                event loop, and no more is read until it is done, so the backlog is bounded.
        """
        self._name = name
        self._source = source
        self._deliver = deliver
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"live-{name}", daemon=True)
        self._away: tuple[str, datetime] | None = None
        self._is_open = False
        self._turned_at = time.monotonic()

    async def start(self) -> None:
        """Starts the thread; returns when it has its position in the source, or knows that the source is away."""
        self._loop = asyncio.get_running_loop()
        self._settled = asyncio.Event()
        self._thread.start()
        await self._settled.wait()

    async def stop(self) -> None:
        """Ends the thread within a second; one held by a hanging connection ends by itself."""
        self._stop.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, _STOP_SECONDS)

    def health(self) -> tuple[bool, str | None]:
        """Whether the source is read now; if not, why and since when."""
        away, silent = self._away, time.monotonic() - self._turned_at
        if away is not None:
            return False, f"{away[0]} Since {rfc3339(away[1])}."
        if not self._is_open or silent > _STALLED_SECONDS:
            return False, f"The {self._name} can't be read: no answer for {silent:.0f} s."
        return True, None

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stop.is_set():
            try:
                self._turn()
                pause = _FIRST_PAUSE
                continue
            except StreamUnavailable as problem:
                self._note_away(str(problem))
            except CancelledError:
                break  # the event loop has ended
            except Exception as problem:
                _log.exception("feed failed", feed=self._name)
                self._note_away(f"The {self._name} can't be read ({type(problem).__name__}).")
            self._stop.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        self._source.close()

    def _turn(self) -> None:
        self._source.open()
        found = self._source.read(_READ_SECONDS) if self._is_open else []
        skipped = self._source.has_skipped()
        if found or skipped:
            asyncio.run_coroutine_threadsafe(self._deliver(found, skipped), self._loop).result()
        self._note_open()

    def _note_open(self) -> None:
        if self._away is not None:
            _log.info("feed is back", feed=self._name)
        self._away = None
        self._turned_at = time.monotonic()
        if not self._is_open:
            self._is_open = True
            self._settle()

    def _note_away(self, reason: str) -> None:
        if self._away is None:
            _log.warning("feed is away", feed=self._name, reason=reason)
            self._away = (reason, utc_now())
        self._settle()

    def _settle(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._settled.set)
