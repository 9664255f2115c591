"""Daily statistics of syncs as JSON."""

from __future__ import annotations

from typing import Any

from moonx_pipeline.storage.monitoring.statistics import DayOfSyncs


def day_json(day: DayOfSyncs) -> dict[str, Any]:
    """One day, an item of ``GET /api/v1/sync/stats``."""
    return {
        "date": day.day.isoformat(),
        "totalSyncs": day.total,
        "completedSyncs": day.completed,
        "partialSyncs": day.partial,
        "failedSyncs": day.failed,
        "uniqueUsers": day.users,
        "avgDurationMs": day.average_ms,
        "providerCalls": day.provider_calls,
        "computeUnits": day.compute_units,
    }
