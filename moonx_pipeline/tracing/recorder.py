"""Records spans with OpenTelemetry, and sends them to a collector."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from moonx_pipeline import __version__
from moonx_pipeline.settings.service import TracingSettings

_EXPORT_SECONDS: Final = 5.0
"""How long one export may take. A collector that is away delays only a process's end, never what is traced."""

_PARENT: Final = "traceparent"
_LONGEST_ERROR: Final = 300
_propagator = TraceContextTextMapPropagator()


class Recorder:
    """Records the spans of this process."""

    def __init__(self, endpoint: str, settings: TracingSettings, program: str) -> None:
        """Starts recording.

        Args:
            endpoint: Base URL of the collector.
            settings: Headers, sampling and service name.
            program: The process's name if no service name is set.
        """
        name = settings.service_name or f"moonx-{program}"
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": name, "service.version": __version__}),
            sampler=ParentBased(TraceIdRatioBased(settings.share)),
        )
        exporter = OTLPSpanExporter(
            endpoint=f"{endpoint}/v1/traces", headers=settings.header_values(), timeout=_EXPORT_SECONDS
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        trace.set_tracer_provider(self._provider)  # where FastAPI looks for it
        self._tracer = self._provider.get_tracer("moonx_pipeline", __version__)

    def stop(self) -> None:
        """Sends the remaining spans, for a process that ends without Python's exit handlers."""
        ending = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        ending.start()
        ending.join(_EXPORT_SECONDS)

    def begin(self, name: str, about: Mapping[str, str | int | None], kind: str, parent: str | None) -> Span:
        """Begins a span that is not the current one, under ``parent`` or else under the current one."""
        context = None if parent is None else _propagator.extract({_PARENT: parent}, context=Context())
        return self._tracer.start_span(name, context, SpanKind[kind.upper()], _known(about))

    @contextmanager
    def within(self, span: Span) -> Iterator[None]:
        """Makes a span the current one, and ends it; an exception that leaves it marks it failed."""
        with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield
            except BaseException as error:
                self.fail(f"{type(error).__name__}: {error}", span)
                raise

    def note(self, about: Mapping[str, str | int | None]) -> None:
        """Adds attributes to the current span."""
        trace.get_current_span().set_attributes(_known(about))

    def fail(self, error: str, span: Span | None = None) -> None:
        """Marks a span, by default the current one, as failed."""
        said = error.partition("\n")[0][:_LONGEST_ERROR]
        (span or trace.get_current_span()).set_status(StatusCode.ERROR, said)

    @property
    def is_recording(self) -> bool:
        """Whether the current span is recorded."""
        return trace.get_current_span().is_recording()

    def traceparent(self, span: Span | None = None) -> str | None:
        """A span, by default the current one, as a parent in W3C's form; ``None`` if there is none."""
        carrier: dict[str, str] = {}
        _propagator.inject(carrier, None if span is None else trace.set_span_in_context(span, Context()))
        return carrier.get(_PARENT)


def _known(about: Mapping[str, str | int | None]) -> dict[str, str | int]:
    return {name: value for name, value in about.items() if value is not None}
