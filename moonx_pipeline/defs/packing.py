"""Packing, every hour: moves rows that are old and no longer change into compressed ones."""

from datetime import timedelta
from typing import Final

import dagster as dg

from moonx_pipeline.clock import utc_now
from moonx_pipeline.defs.maintenance import Budget, working
from moonx_pipeline.defs.resources import Database
from moonx_pipeline.settings import load_settings
from moonx_pipeline.storage.upkeep import pack_history as packed_history
from moonx_pipeline.storage.upkeep.pack_events import pack_outbox

PLAIN: Final = timedelta(hours=1)
"""What is younger stays as it is: followers of the outbox are rarely further behind."""


@dg.op(description="Packs published events that are older than an hour, by user and day.")
def pack_events(context: dg.OpExecutionContext, config: Budget, database: Database) -> None:
    with working(context, config, again="hour") as work:
        work.count("events", pack_outbox(database.engine, utc_now() - PLAIN))


@dg.op(description="Packs history that is older than an hour, by wallet and day.")
def pack_history(context: dg.OpExecutionContext, config: Budget, database: Database) -> None:
    with working(context, config, again="hour") as work:
        work.count("rows", packed_history.pack_history(database.engine, utc_now() - PLAIN))


@dg.job(
    executor_def=dg.in_process_executor,
    description="Moves what is old and no longer changes into compressed rows.",
    # No retries: the next hour does the rest.
    tags={"dagster/retry_on_asset_or_op_failure": "false"},
)
def packing() -> None:
    pack_events()
    pack_history()


hourly_packing = dg.ScheduleDefinition(
    name="hourly_packing",
    job=packing,
    cron_schedule="40 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING
    if load_settings().periodic.enabled
    else dg.DefaultScheduleStatus.STOPPED,
    description="Packs what has become old; without it nothing is lost, and the database grows.",
)
