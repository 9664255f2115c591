"""Nightly maintenance: deletes old data. One op a subject; a failing op stops no other."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

import dagster as dg
from sqlalchemy.exc import SQLAlchemyError

from moonx_pipeline.clock import utc_now
from moonx_pipeline.defs.instance_retention import prune_runs, retire_partitions
from moonx_pipeline.defs.metadata import Metadata
from moonx_pipeline.defs.portfolio import portfolio
from moonx_pipeline.defs.resources import Database, PipelineSettings
from moonx_pipeline.settings import load_settings
from moonx_pipeline.storage.connection.engine import dagster_database_url, open_engine
from moonx_pipeline.storage.syncs import evidence_log as explain
from moonx_pipeline.storage.upkeep import garbage as unused
from moonx_pipeline.storage.upkeep import history, retention
from moonx_pipeline.storage.upkeep.pack_history import drop_packs

PARTITION_UNUSED: Final = timedelta(days=30)
TOKEN_UNUSED: Final = timedelta(days=90)
BREAKER_UNUSED: Final = timedelta(days=30)
LIMIT_UNUSED: Final = timedelta(days=1)
_PARTITIONS_A_NIGHT: Final = 20_000

# Partitions go before the runs that are kept for them; statistics are collected last.
_FIRST: Final = {"dagster/priority": "1"}
_LAST: Final = {"dagster/priority": "-1"}


class Budget(dg.Config):
    """How long an op may take; the rest is left to the next run."""

    seconds: float = 300.0


class LongBudget(Budget):
    """For the largest subjects. All budgets together stay below a run's time limit."""

    seconds: float = 900.0


class Work:
    """What an op has done so far."""

    def __init__(self, budget: Budget, again: str) -> None:
        self.metadata: Metadata = {}
        self._budget = budget
        self._again = again
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since it began."""
        return round(time.monotonic() - self._started, 3)

    def count(self, what: str, slices: Iterable[int]) -> None:
        """Works slice by slice while there is time, and counts what is removed or moved."""
        self.metadata[what] = 0
        for removed in slices:
            self.metadata[what] += removed
            if self.seconds >= self._budget.seconds:
                self.metadata[f"left_for_next_{self._again}"] = True
                return


@contextmanager
def working(context: dg.OpExecutionContext, budget: Budget, *, again: str = "night") -> Iterator[Work]:
    """Records what an op has done, even if it fails; ``again`` says when its job runs again."""
    work = Work(budget, again)
    try:
        yield work
    except SQLAlchemyError as problem:
        cause = str(getattr(problem, "orig", None) or problem).strip().splitlines()[0]
        raise dg.Failure(
            f"'{context.op.name}' failed after {work.seconds:.1f} s: {cause}. What it had done stays done, and "
            f"the next {again} goes on from there; to go on now, start the job again.",
            metadata={**work.metadata, "seconds": work.seconds},
            allow_retries=False,
        ) from None
    context.add_output_metadata({**work.metadata, "seconds": work.seconds})
    context.log.info(", ".join(f"{name}: {value}" for name, value in work.metadata.items()) or "done")


@dg.op(tags=_FIRST, description="Retires the partitions of users who were not active for 30 days or have no wallets.")
def retire_inactive_partitions(context: dg.OpExecutionContext, config: Budget, database: Database) -> None:
    with working(context, config) as work:
        since = utc_now() - PARTITION_UNUSED
        work.count("partitions", retire_partitions(context.instance, database.engine, since, _PARTITIONS_A_NIGHT))


@dg.op(description="Deletes ended runs with their events, but the last sync of each partition; then checks of none.")
def prune_dagster_runs(context: dg.OpExecutionContext, config: LongBudget, settings: PipelineSettings) -> None:
    with working(context, config) as work:
        before = utc_now() - timedelta(days=settings.values.service.run_days)
        work.count("runs", prune_runs(context.instance, portfolio.key, before))
        engine = open_engine(dagster_database_url(settings.values))
        try:
            work.count("check_executions", retention.prune_check_executions(engine, before))
        finally:
            engine.dispose()


@dg.op(description="Leaves of history older than 2 days a snapshot an hour, of that older than 30 days one a day.")
def thin_history(
    context: dg.OpExecutionContext, config: LongBudget, database: Database, settings: PipelineSettings
) -> None:
    with working(context, config) as work:
        now = utc_now()
        slices = history.thin_history(
            database.engine,
            hourly_before=now - history.KEPT_WHOLE,
            daily_before=now - history.KEPT_HOURLY,
            oldest=history.first_kept_month(now, settings.values.service.history_months),
        )
        work.count("rows", slices)


@dg.op(description="Drops the months of history that are too old, and makes those to come.")
def turn_history_months(
    context: dg.OpExecutionContext, config: Budget, database: Database, settings: PipelineSettings
) -> None:
    with working(context, config) as work:
        now = utc_now()
        first = history.first_kept_month(now, settings.values.service.history_months)
        work.metadata["months_made"] = history.ensure_history(database.engine, now.date())
        work.metadata["months_dropped"] = ", ".join(history.drop_history(database.engine, first)) or "none"
        work.count("rows_without_month", history.delete_stray_history(database.engine, first))
        work.count("packed_snapshots", drop_packs(database.engine, first))


@dg.op(description="Deletes old events; unpublished ones only where events go nowhere but to the outbox.")
def prune_outbox(
    context: dg.OpExecutionContext, config: Budget, database: Database, settings: PipelineSettings
) -> None:
    with working(context, config) as work:
        kafka = settings.values.kafka
        before = utc_now() - timedelta(days=kafka.retention_days)
        work.count("events", retention.prune_outbox(database.engine, before, unpublished=not kafka.brokers))


@dg.op(description="Deletes the evidence of syncs of long ago.")
def prune_evidence(
    context: dg.OpExecutionContext, config: Budget, database: Database, settings: PipelineSettings
) -> None:
    with working(context, config) as work:
        before = utc_now() - timedelta(days=settings.values.service.evidence_days)
        work.count("syncs", explain.prune_evidence(database.engine, before))


@dg.op(description="Deletes old requests and operations that ended, but the last operation of each user.")
def prune_operations(
    context: dg.OpExecutionContext, config: Budget, database: Database, settings: PipelineSettings
) -> None:
    with working(context, config) as work:
        before = utc_now() - timedelta(days=settings.values.service.operation_days)
        work.count("requests", retention.prune_requests(database.engine, before))
        work.count("operations", retention.prune_operations(database.engine, before))
        work.count("batches", retention.prune_unchanged(database.engine, before))


@dg.op(description="Forgets tokens that nobody holds, and users' limits and breakers that are out of use.")
def prune_unused(
    context: dg.OpExecutionContext, config: Budget, database: Database, settings: PipelineSettings
) -> None:
    with working(context, config) as work:
        now = utc_now()
        window = timedelta(milliseconds=settings.values.worker.rate_window_ms)
        tokens = unused.prune_tokens(database.engine, now - TOKEN_UNUSED)
        work.metadata.update({"token_evidence": tokens.evidence, "token_metadata": tokens.metadata})
        work.metadata["limits"] = unused.prune_limits(database.engine, now - max(LIMIT_UNUSED, 2 * window))
        work.metadata["breakers"] = unused.prune_breakers(database.engine, now - BREAKER_UNUSED)


@dg.op(description="Deletes the broker's messages that were delivered, where the database is the broker.")
def prune_broker(context: dg.OpExecutionContext, database: Database) -> None:
    from moonx_pipeline.broker import prune_delivered  # kombu and its transport: a third of a second of every start

    with working(context, Budget()) as work:
        work.metadata["messages"] = prune_delivered(database.engine)


@dg.op(tags=_LAST, description="Brings the planner's statistics of the tables up to date that change the most.")
def analyze_tables(context: dg.OpExecutionContext, database: Database) -> None:
    with working(context, Budget()) as work:
        retention.analyze(database.engine)
        work.metadata["tables"] = ", ".join(retention.CHANGING_TABLES)


@dg.job(
    executor_def=dg.in_process_executor,
    description="Removes what is old and of no use, by the retention settings.",
    # No retries: the next night does the rest.
    tags={"dagster/retry_on_asset_or_op_failure": "false"},
)
def maintenance() -> None:
    retire_inactive_partitions()
    prune_dagster_runs()
    thin_history()
    turn_history_months()
    prune_outbox()
    prune_evidence()
    prune_operations()
    prune_unused()
    prune_broker()
    analyze_tables()


nightly_maintenance = dg.ScheduleDefinition(
    name="nightly_maintenance",
    job=maintenance,
    cron_schedule="30 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING
    if load_settings().periodic.enabled
    else dg.DefaultScheduleStatus.STOPPED,
    description="Removes what is old, at a quiet time.",
)
