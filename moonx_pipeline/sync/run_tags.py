"""The tags of the Dagster runs that carry syncs."""

from __future__ import annotations

from typing import Final

USER: Final = "moonx/user"
REQUEST: Final = "moonx/request"
"""The request that the run serves."""

TRIGGER: Final = "moonx/trigger"
PRIORITY: Final = "moonx/priority"
TRACE: Final = "moonx/traceparent"
"""The trace that the run goes on with, in W3C's form."""

SHARD: Final = "moonx/shard"
"""The share of the users that a sweep is for."""

WORKER: Final = "moonx/worker"
"""The process that took the run; see ``storage.syncs.workers``."""

PARTITION: Final = "dagster/partition"
BACKFILL: Final = "dagster/backfill"
SCHEDULE: Final = "dagster/schedule_name"
