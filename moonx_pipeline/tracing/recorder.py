"""Recording spans with OpenTelemetry, and sending them to a collector."""

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
"""How long one sending may take. A collector that is away never holds up what is traced, only a process's end."""

_PARENT: Final = "traceparent"
_LONGEST_ERROR: Final = 300
_propagator = TraceContextTextMapPropagator()


class Recorder:
    """Records the spans of this process."""

    def __init__(self, endpoint: str, settings: TracingSettings, program: str) -> None:
        """Begins to record.

        Args:
            endpoint: Base URL of the collector.
            settings: What it is sent, and how many traces.
            program: What the process is, where no service name is set.
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
        trace.set_tracer_provider(self._provider)  # FastAPI looks for it there
        self._tracer = self._provider.get_tracer("moonx_pipeline", __version__)

    def stop(self) -> None:
        """Sends what is left, for a process that ends without Python's own end."""
        ending = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        ending.start()
        ending.join(_EXPORT_SECONDS)

    def begin(self, name: str, about: Mapping[str, str | int | None], kind: str, parent: str | None) -> Span:
        """Begins a span that is not the current one, under ``parent`` or else under the current one."""
        context = None if parent is None else _propagator.extract({_PARENT: parent}, context=Context())
        return self._tracer.start_span(name, context, SpanKind[kind.upper()], _known(about))

    @contextmanager
    def within(self, span: Span) -> Iterator[None]:
        """Has a span be the current one, and ends it; an error that leaves it is its outcome."""
        with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield
            except BaseException as error:
                self.fail(f"{type(error).__name__}: {error}", span)
                raise

    def note(self, about: Mapping[str, str | int | None]) -> None:
        """Says more of the current span."""
        trace.get_current_span().set_attributes(_known(about))

    def fail(self, error: str, span: Span | None = None) -> None:
        """A span, or the current one, has failed."""
        said = error.partition("\n")[0][:_LONGEST_ERROR]
        (span or trace.get_current_span()).set_status(StatusCode.ERROR, said)

    @property
    def is_recording(self) -> bool:
        """Whether the current span is recorded."""
        return trace.get_current_span().is_recording()

    def traceparent(self, span: Span | None = None) -> str | None:
        """A span, or the current one, as parent of others; ``None`` where there is none."""
        carrier: dict[str, str] = {}
        _propagator.inject(carrier, None if span is None else trace.set_span_in_context(span, Context()))
        return carrier.get(_PARENT)


def _known(about: Mapping[str, str | int | None]) -> dict[str, str | int]:
    return {name: value for name, value in about.items() if value is not None}
