"""The tags of the Dagster runs that execute syncs."""

from __future__ import annotations

from typing import Final

USER: Final = "moonx/user"
REQUEST: Final = "moonx/request"
"""The request that the run serves."""

TRIGGER: Final = "moonx/trigger"
PRIORITY: Final = "moonx/priority"
TRACE: Final = "moonx/traceparent"
"""The trace that the run continues, as a W3C ``traceparent``."""

SHARD: Final = "moonx/shard"
"""The sweep's share of the users."""

WORKER: Final = "moonx/worker"
"""The process that executes the run; see ``storage.syncs.workers``."""

PARTITION: Final = "dagster/partition"
BACKFILL: Final = "dagster/backfill"
SCHEDULE: Final = "dagster/schedule_name"
