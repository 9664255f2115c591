"""Declares the gauges that are read at each scrape."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily

OF_DATABASE: Final = {
    "sync_requests_pending": "Requests for syncs that nobody serves yet.",
    "sync_requests_oldest_seconds": "How long the oldest of them waits.",
    "users_due": "Users who are due and whom nobody has synced yet.",
    "users_due_oldest_seconds": "How long the longest of them is due.",
    "users_active": "Users whose portfolios are kept fresh: active within a day.",
    "outbox_unpublished": "Events that no broker has acknowledged; 0 without Kafka, since then nothing waits.",
    "outbox_oldest_seconds": "How long the oldest of them waits.",
    "circuit_breaker_state": "0 closed, 1 half-open, 2 open; of all users' breakers the worst.",
    "circuit_breaker_open_seconds": "How long a breaker is not closed, and why.",
    "rate_limit_blocked_seconds": "How long a provider is still to be left alone, by its own word.",
    "sync_processes_alive": "Processes of all workers that can take a run.",
    "sync_paused": "1 while an operator holds all syncs.",
    "dagster_daemon_up": "Whether Dagster's daemon beats.",
    "event_log_bytes": "Size of Dagster's event log, its indexes included.",
    "database_bytes": "Size of the pipeline's database.",
    "provider_compute_units_quota": "Compute units a month of the plan, where ALCHEMY_MONTHLY_COMPUTE_UNITS says so.",
    "database_gauges_read_seconds": "How long reading these took.",
}
"""Gauges that one process reads from the database for all."""

OF_GATEWAY: Final = {"websocket_connections": "Sockets that are let in."}

OF_WORKER: Final = {
    "worker_processes": "Processes of this worker that live.",
    "worker_runs_under_way": "Runs that they carry.",
    "worker_memory_bytes": "Memory of this worker and its processes, what they share counted once.",
}

OF_ALL: Final = {"dependency_up": "Whether a part that this process stands on answered when it was last looked at."}

AGE_BOUNDS: Final = (60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 86_400)
"""Upper bounds of the ages of portfolios, in seconds."""

_MEANINGS: Final = {**OF_DATABASE, **OF_GATEWAY, **OF_WORKER, **OF_ALL}


def gauge(name: str, value: float) -> GaugeMetricFamily:
    """A gauge that is declared above."""
    return GaugeMetricFamily(name, _MEANINGS[name], value=value)


def gauges(name: str, labels: Sequence[str], values: Iterable[tuple[Sequence[str], float]]) -> GaugeMetricFamily:
    """A gauge that is declared above, by labels."""
    family = GaugeMetricFamily(name, _MEANINGS[name], labels=labels)
    for label_values, value in values:
        family.add_metric(label_values, value)
    return family


def portfolio_ages(counts: Sequence[int], total_seconds: float) -> HistogramMetricFamily:
    """The current ages of active users' portfolios; not a sum over time, so its rate means nothing.

    Args:
        counts: Users by bucket of ``AGE_BOUNDS``; the last counts those above all bounds or never read.
        total_seconds: The sum of the ages.
    """
    upto, buckets = 0, []
    for bound, count in zip((*AGE_BOUNDS, "+Inf"), counts, strict=True):
        upto += count
        buckets.append((bound if bound == "+Inf" else f"{bound}.0", upto))
    return HistogramMetricFamily(
        "portfolio_age_seconds",
        "How old the portfolios of active users are now.",
        buckets=buckets,
        sum_value=total_seconds,
    )
