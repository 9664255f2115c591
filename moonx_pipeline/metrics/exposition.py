"""Writes metrics as text, in OpenMetrics or Prometheus' format."""

from __future__ import annotations

from typing import NamedTuple

from prometheus_client import REGISTRY, CollectorRegistry, disable_created_metrics
from prometheus_client.exposition import choose_encoder

disable_created_metrics()  # type: ignore[no-untyped-call]  # series' start times: they double the lines, and nothing reads them


class Answer(NamedTuple):
    """The answer to a ``GET``."""

    status: int
    content_type: str
    body: bytes


def exposition(accept: str, registry: CollectorRegistry = REGISTRY) -> Answer:
    """All metrics of a registry.

    Args:
        accept: The ``Accept`` header; OpenMetrics if it asks for that, else Prometheus' text.
        registry: By default this process's own.
    """
    encode, content_type = choose_encoder(accept)
    return Answer(200, content_type, encode(registry))
