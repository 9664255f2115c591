"""Traces of one request, from the API over its run and each chain to its events.

They use OpenTelemetry. Without a configured collector it is not loaded, and everything here is a no-op.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, MutableMapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Literal

from moonx_pipeline.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from moonx_pipeline.tracing.recorder import Recorder

Kind = Literal["internal", "client", "producer"]
About = Mapping[str, str | int | None]
"""A span's attributes by name; ``None`` values are left out. Never put secrets here."""

_recorder: Recorder | None = None
_NOTHING = nullcontext()


def load_tracing(settings: Settings) -> None:
    """Imports the recorder, for a process that forks recording processes and records nothing itself."""
    if settings.tracing.endpoint is not None:
        importlib.import_module("moonx_pipeline.tracing.recorder")


def start_tracing(settings: Settings, program: str) -> None:
    """Starts recording this process's spans; repeated calls do nothing.

    Args:
        settings: The collector; without one nothing is recorded.
        program: The process's name if no service name is set.
    """
    global _recorder
    endpoint = settings.tracing.endpoint
    if _recorder is None and endpoint is not None:
        from moonx_pipeline.tracing.recorder import Recorder

        _recorder = Recorder(endpoint, settings.tracing, program)


def stop_tracing() -> None:
    """Sends the remaining spans, for a process that ends without Python's exit handlers."""
    if _recorder is not None:
        _recorder.stop()


def span(
    name: str, about: About | None = None, *, kind: Kind = "internal", parent: str | None = None
) -> AbstractContextManager[None]:
    """Records the block as a span; an exception that leaves it marks it failed.

    Args:
        name: The action, one of a few names.
        about: Attributes.
        kind: ``client`` for a call to another system, ``producer`` for a message that is read later.
        parent: W3C's traceparent of the parent; by default the current span.
    """
    if _recorder is None:
        return _NOTHING
    return _recorder.within(_recorder.begin(name, about or {}, kind, parent))


class OpenSpan:
    """A manually ended span, which is not the current one. A no-op when tracing is off."""

    def __init__(self, recorded: tuple[Recorder, Span] | None) -> None:
        """Wraps a recorded span; ``None`` records nothing."""
        self._recorded = recorded

    @property
    def traceparent(self) -> str | None:
        """The span as a parent, in W3C's form."""
        if self._recorded is None:
            return None
        recorder, span = self._recorded
        return recorder.traceparent(span)

    def end(self, error: str | None = None) -> None:
        """Ends the span, as failed if there is an error."""
        if self._recorded is not None:
            recorder, span = self._recorded
            if error is not None:
                recorder.fail(error, span)
            span.end()


def begin_span(
    name: str, about: About | None = None, *, kind: Kind = "internal", parent: str | None = None
) -> OpenSpan:
    """Begins a span to be ended later, possibly in another thread; see ``span``."""
    if _recorder is None:
        return OpenSpan(None)
    return OpenSpan((_recorder, _recorder.begin(name, about or {}, kind, parent)))


def note(about: About) -> None:
    """Adds attributes to the current span."""
    if _recorder is not None:
        _recorder.note(about)


def note_failure(error: str) -> None:
    """Marks the current span as failed although no exception leaves it."""
    if _recorder is not None:
        _recorder.fail(error)


def is_recording() -> bool:
    """Whether the current span is recorded."""
    return _recorder is not None and _recorder.is_recording


def current_traceparent() -> str | None:
    """The current span as a parent for other processes, in W3C's form; ``None`` if there is none."""
    return None if _recorder is None else _recorder.traceparent()


def add_trace(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Adds the trace to a log line; a structlog processor."""
    traceparent = current_traceparent()
    if traceparent is not None:
        line["trace"] = traceparent.split("-")[1]
    return line
