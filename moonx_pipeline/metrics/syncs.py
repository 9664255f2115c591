"""Metrics of ended syncs, counted by the process that ended them."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Histogram

_TRIGGERS: Final = ("manual", "backfill", "schedule", "webhook", "login", "wallets")
_STATUSES: Final = ("completed", "partial", "failed", "cancelled", "refused")
_WITHOUT_DURATION: Final = frozenset({"cancelled", "refused"})

_processed = Counter("sync_jobs_processed_total", "Syncs that have ended.", ("trigger", "status"))
_failed = Counter("sync_jobs_failed_total", "Syncs that have failed.", ("code",))
_duration = Histogram(
    "sync_job_duration_seconds",
    "From the opening of a sync to its end, where it read something or failed.",
    ("trigger",),
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)
_recovery = Histogram(
    "state_recovery_duration_seconds",
    "How long a process took at its start to close what dead ones had left.",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)

# All label values exist from the start, since a rate needs a zero to grow from; lookup is cheaper, too.
_PROCESSED: Final = {(t, s): _processed.labels(t, s) for t in _TRIGGERS for s in _STATUSES}
_DURATION: Final = {trigger: _duration.labels(trigger) for trigger in _TRIGGERS}


def count_sync(trigger: str, status: str, *, milliseconds: int = 0, code: str | None = None) -> None:
    """Counts a sync whose end is committed.

    Args:
        trigger: Its trigger, one of five.
        status: Its final status.
        milliseconds: From its opening to its end.
        code: The reason code of a failure, one of a few.
    """
    _PROCESSED[trigger, status].inc()
    if status not in _WITHOUT_DURATION:
        _DURATION[trigger].observe(milliseconds / 1000)
    if status == "failed":
        _failed.labels(code or "unknown").inc()


def time_recovery(seconds: float) -> None:
    """Records how long a recovery took."""
    _recovery.observe(seconds)
