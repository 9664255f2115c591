"""A collector of traces: what arrives by OTLP over HTTP, to be looked at."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Span(NamedTuple):
    """A span as it arrived; ids in hexadecimal, ``parent`` empty at the root."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    kind: int
    attributes: dict[str, Any]
    error: str | None


class Collector:
    """What arrived so far."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.spans: list[Span] = []
        self.logins: set[str | None] = set()
        self.raw = b""

    def take(self, body: bytes) -> None:
        """Takes a sending in."""
        self.raw += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = {a.key: a.value.string_value for a in resource.resource.attributes}["service.name"]
            for scope in resource.scope_spans:
                self.spans += [
                    Span(
                        service,
                        span.name,
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                        span.kind,
                        {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes},
                        span.status.message if span.status.code == 2 else None,
                    )
                    for span in scope.spans
                ]

    def of_trace(self, trace: str) -> list[Span]:
        return [span for span in self.spans if span.trace == trace]

    def named(self, name: str, **attributes: Any) -> list[Span]:
        """Spans of a name, with attributes of ours."""
        wanted = {f"moonx.{key}": value for key, value in attributes.items()}.items()
        return [span for span in self.spans if span.name == name and wanted <= span.attributes.items()]

    def way_up(self, span: Span) -> list[str]:
        """The names of a span and of what led to it, as far as they arrived."""
        by_id = {each.id: each for each in self.spans}
        names = [span.name]
        while span.parent in by_id:
            span = by_id[span.parent]
            names.append(span.name)
        return names


@contextmanager
def running_collector() -> Iterator[Collector]:
    """A collector that listens until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            collector.logins.add(self.headers.get("x-login"))
            if self.path == "/v1/traces":
                collector.take(body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = Collector(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
