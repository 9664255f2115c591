"""Asking for a sync: the limit of what a person may ask, and the request that asks."""

from __future__ import annotations

from datetime import timedelta

from moonx_pipeline.settings.worker import WorkerSettings
from moonx_pipeline.storage.limiter import Limit


def manual_sync_limit(worker: WorkerSettings, user_id: str) -> Limit:
    """What one request of a person takes of his limit."""
    return Limit(f"user:{user_id}:sync", 1, worker.rate_max, timedelta(milliseconds=worker.rate_window_ms))
