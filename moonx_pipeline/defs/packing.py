"""Packing, every hour: moves rows that are old and no longer change into compressed ones."""

from datetime import timedelta
from typing import Final

import dagster as dg

from moonx_pipeline.clock import utc_now
from moonx_pipeline.defs.maintenance import Budget, working
from moonx_pipeline.defs.resources import Database
from moonx_pipeline.settings import load_settings
from moonx_pipeline.storage.upkeep import pack_history as history_packs
from moonx_pipeline.storage.upkeep import pack_operations as operation_packs
from moonx_pipeline.storage.upkeep.history import KEPT_HOURLY, KEPT_WHOLE
from moonx_pipeline.storage.upkeep.pack_events import pack_outbox

PLAIN: Final = timedelta(hours=1)
"""What is younger stays as it is: followers of the outbox are rarely further behind."""

OPERATIONS_PLAIN: Final = timedelta(days=1)


class PackingBudget(Budget):
    """All budgets together stay below a run's time limit."""

    seconds: float = 800.0


@dg.op(description="Packs published events that are older than an hour, by user and day.")
def pack_events(context: dg.OpExecutionContext, config: PackingBudget, database: Database) -> None:
    with working(context, config, again="hour") as work:
        work.count("events", pack_outbox(database.engine, utc_now() - PLAIN))


@dg.op(description="Packs history that is older than an hour, by wallet and day.")
def pack_history(context: dg.OpExecutionContext, config: PackingBudget, database: Database) -> None:
    with working(context, config, again="hour") as work:
        work.count("rows", history_packs.pack_history(database.engine, utc_now() - PLAIN))


@dg.op(description="Packs operations of sweeps that are older than a day, by user and day.")
def pack_operations(context: dg.OpExecutionContext, config: PackingBudget, database: Database) -> None:
    with working(context, config, again="hour") as work:
        work.count("operations", operation_packs.pack_operations(database.engine, utc_now() - OPERATIONS_PLAIN))


@dg.op(
    description="Leaves of packed history older than 2 days a snapshot an hour, of that older than 30 days one a day."
)
def thin_packs(context: dg.OpExecutionContext, config: PackingBudget, database: Database) -> None:
    with working(context, config, again="hour") as work:
        now = utc_now()
        slices = history_packs.thin_packs(
            database.engine, hourly_before=now - KEPT_WHOLE, daily_before=now - KEPT_HOURLY
        )
        work.count("snapshots", slices)


@dg.job(
    executor_def=dg.in_process_executor,
    description="Moves what is old and no longer changes into compressed rows.",
    # No retries: the next hour does the rest.
    tags={"dagster/retry_on_asset_or_op_failure": "false"},
)
def packing() -> None:
    pack_events()
    pack_history()
    pack_operations()
    thin_packs()


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
