"""Metrics as text, in the form that whoever asks understands."""

from __future__ import annotations

from typing import NamedTuple

from prometheus_client import REGISTRY, CollectorRegistry, disable_created_metrics
from prometheus_client.exposition import choose_encoder

disable_created_metrics()  # type: ignore[no-untyped-call]  # when each series began: as many lines again, and nobody asks


class Answer(NamedTuple):
    """What is answered to a ``GET``."""

    status: int
    content_type: str
    body: bytes


def exposition(accept: str, registry: CollectorRegistry = REGISTRY) -> Answer:
    """All metrics of a registry.

    Args:
        accept: The ``Accept`` header; OpenMetrics where it is asked for, else Prometheus' text.
        registry: This process's own by default.
    """
    encode, content_type = choose_encoder(accept)
    return Answer(200, content_type, encode(registry))
