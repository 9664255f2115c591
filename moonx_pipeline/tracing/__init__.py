"""Traces: what one request led to, from the API over its run and each chain to the event that tells of it.

They are OpenTelemetry's. Where no collector is configured nothing of it is loaded, and all of this does nothing.
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
"""Attributes by name; one that is ``None`` is left out. No secrets."""

_recorder: Recorder | None = None
_NOTHING = nullcontext()


def load_tracing(settings: Settings) -> None:
    """Imports what recording needs, for a process that records nothing itself and forks those that do."""
    if settings.tracing.endpoint is not None:
        importlib.import_module("moonx_pipeline.tracing.recorder")


def start_tracing(settings: Settings, program: str) -> None:
    """Records spans of this process from now on; once is enough.

    Args:
        settings: Where they are sent; where that is nowhere, nothing is recorded.
        program: What the process is, where no service name is set.
    """
    global _recorder
    endpoint = settings.tracing.endpoint
    if _recorder is None and endpoint is not None:
        from moonx_pipeline.tracing.recorder import Recorder

        _recorder = Recorder(endpoint, settings.tracing, program)


def stop_tracing() -> None:
    """Sends what is left, for a process that ends without Python's own end."""
    if _recorder is not None:
        _recorder.stop()


def span(
    name: str, about: About | None = None, *, kind: Kind = "internal", parent: str | None = None
) -> AbstractContextManager[None]:
    """What is done within is a span; an error that leaves it is its outcome.

    Args:
        name: What is done, one of few names.
        about: More of it.
        kind: ``client`` where somebody else is asked, ``producer`` where something is sent to be read later.
        parent: W3C's traceparent of what led to it; by default the span that is current.
    """
    if _recorder is None:
        return _NOTHING
    return _recorder.within(_recorder.begin(name, about or {}, kind, parent))


class OpenSpan:
    """A span that was begun beside the current one, and is ended by hand; nothing where nothing is recorded."""

    def __init__(self, recorded: tuple[Recorder, Span] | None) -> None:
        """Takes it."""
        self._recorded = recorded

    @property
    def traceparent(self) -> str | None:
        """Itself as parent of others, in W3C's form."""
        if self._recorded is None:
            return None
        recorder, span = self._recorded
        return recorder.traceparent(span)

    def end(self, error: str | None = None) -> None:
        """Ends it, as failed where there is an error."""
        if self._recorded is not None:
            recorder, span = self._recorded
            if error is not None:
                recorder.fail(error, span)
            span.end()


def begin_span(
    name: str, about: About | None = None, *, kind: Kind = "internal", parent: str | None = None
) -> OpenSpan:
    """Begins a span that somebody ends later, maybe in another thread; see ``span``."""
    if _recorder is None:
        return OpenSpan(None)
    return OpenSpan((_recorder, _recorder.begin(name, about or {}, kind, parent)))


def note(about: About) -> None:
    """Says more of the current span."""
    if _recorder is not None:
        _recorder.note(about)


def note_failure(error: str) -> None:
    """The current span has failed, though no error leaves it."""
    if _recorder is not None:
        _recorder.fail(error)


def is_recording() -> bool:
    """Whether what is done here is part of a trace that is recorded."""
    return _recorder is not None and _recorder.is_recording


def current_traceparent() -> str | None:
    """The current span as parent of what it leads to elsewhere, in W3C's form; ``None`` where there is none."""
    return None if _recorder is None else _recorder.traceparent()


def add_trace(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Names the trace in a line of the log; one of structlog's processors."""
    traceparent = current_traceparent()
    if traceparent is not None:
        line["trace"] = traceparent.split("-")[1]
    return line
