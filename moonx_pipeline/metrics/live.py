"""Metrics of events sent to pages, counted by the gateway that sends them."""

from __future__ import annotations

from datetime import datetime

from prometheus_client import Histogram

from moonx_pipeline.clock import utc_now

_delivery = Histogram(
    "event_delivery_seconds",
    "From the transaction that an event tells of to its being sent to whoever listens.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)


def time_delivery(timestamp: object) -> None:
    """Records the delivery time of an event.

    Args:
        timestamp: The event's own, RFC 3339; anything else is ignored.
    """
    try:
        seconds = (utc_now() - datetime.fromisoformat(timestamp)).total_seconds()  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return
    _delivery.observe(max(0.0, seconds))  # hosts' clocks may differ
