"""Metrics of events sent to Kafka, counted by the sending process."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from moonx_pipeline.domain.event_types import TOPIC_NAMES

_published = Counter("kafka_events_published_total", "Events that a broker has acknowledged.", ("topic",))
_duration = Histogram(
    "kafka_publish_duration_seconds",
    "From sending an event to its acknowledgement.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
_errors = Counter(
    "kafka_publish_errors_total", "Events that no broker took, and connections that could not be made.", ("reason",)
)
for _topic in TOPIC_NAMES:
    _published.labels(_topic)
for _reason in ("unavailable", "refused"):
    _errors.labels(_reason)


def count_published(topic: str, seconds: float) -> None:
    """Counts an acknowledged event; ``topic`` is the name in the event, not the broker's."""
    _published.labels(topic).inc()
    _duration.observe(seconds)


def count_error(reason: str) -> None:
    """Counts an event that was not taken: ``unavailable`` if it waits, ``refused`` if it will never be taken."""
    _errors.labels(reason).inc()
