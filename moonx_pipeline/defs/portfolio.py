"""The asset ``portfolio``: one partition a user, one run a sync, one op a stage."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import dagster as dg

from moonx_pipeline.defs.executor import sync_executor, traced
from moonx_pipeline.defs.metadata import (
    breaker_metadata,
    chain_metadata,
    outcome_line,
    outcome_metadata,
    valued_metadata,
)
from moonx_pipeline.defs.partitions import users
from moonx_pipeline.defs.resources import PipelineRuntime, PipelineSettings
from moonx_pipeline.defs.runs import request_of
from moonx_pipeline.domain.chains import Chain
from moonx_pipeline.domain.portfolio import ChainBalances
from moonx_pipeline.settings import load_settings
from moonx_pipeline.sync import run_tags
from moonx_pipeline.sync.balances.progress import trace_chain_end
from moonx_pipeline.sync.fetch import BatchFetch
from moonx_pipeline.sync.pricing.price_lines import refresh_quietly
from moonx_pipeline.sync.spec import PERSONAL_TRIGGERS, OpenSync, SyncRefused, SyncSpec
from moonx_pipeline.sync.store import StoredSync
from moonx_pipeline.sync.value import ValuedSync

IN_MEMORY = "in_memory"


@dataclass(frozen=True, slots=True)
class RunningSync:
    """A sync in progress, as the ops of its run share it."""

    sync: OpenSync
    fetch: BatchFetch


@dataclass(frozen=True, slots=True)
class EndedSync:
    """A stored sync and what it stored."""

    valued: ValuedSync
    stored: StoredSync


def _spec(context: dg.OpExecutionContext) -> SyncSpec:
    tags = context.run.tags
    unattended = "backfill" if run_tags.BACKFILL in tags else "schedule" if run_tags.SCHEDULE in tags else None
    return SyncSpec(
        operation_id=UUID(context.run_id),
        user_id=context.partition_key,
        trigger=tags.get(run_tags.TRIGGER, unattended or "manual"),
        priority=tags.get(run_tags.PRIORITY, "medium"),
        request_id=request_of(context.run),
        run_id=context.run_id,
    )


@dg.op(out=dg.Out(io_manager_key=IN_MEMORY))
@traced
def open_sync(context: dg.OpExecutionContext, runtime: PipelineRuntime) -> dg.Output[RunningSync]:
    """Checks the user, records the sync as running, and starts to read balances."""
    pipeline, spec = runtime.pipeline, _spec(context)
    try:
        sync = pipeline.open(spec)
    except SyncRefused as refusal:
        again = {"retry_at": refusal.retry_at.timestamp()} if refusal.retry_at else {}
        raise dg.Failure(str(refusal), metadata={"code": refusal.code, **again}, allow_retries=False) from None
    with pipeline.recording_failure(sync):
        if not context.instance.has_dynamic_partition("users", spec.user_id):
            # Another system registered the user straight in the database: add the partition.
            context.instance.add_dynamic_partitions("users", [spec.user_id])
        tags = {run_tags.USER: spec.user_id, run_tags.TRIGGER: spec.trigger}
        if not tags.items() <= context.run.tags.items():
            context.instance.add_run_tags(context.run_id, tags)
        fetch = pipeline.start_fetch(sync)
    return dg.Output(
        RunningSync(sync, fetch),
        metadata={
            "wallets": len(sync.wallets),
            "first_read": sync.with_metadata,
            "try": sync.ref.retry_count,
            **breaker_metadata(sync.breakers),
        },
    )


def _fetch_op(chain: Chain) -> dg.OpDefinition:
    @dg.op(
        name=f"fetch_{chain.slug}",
        description=f"Waits for the balances of all wallets on {chain.name}; a failure is an outcome, not an error.",
        out=dg.Out(io_manager_key=IN_MEMORY),
    )
    @traced
    def fetch_chain(
        context: dg.OpExecutionContext, running: RunningSync, runtime: PipelineRuntime
    ) -> dg.Output[Sequence[ChainBalances]]:
        with runtime.pipeline.recording_failure(running.sync):
            readings = running.fetch.read_chain(chain.id)
        trace_chain_end(chain.id, readings)
        for reading in readings:
            if reading.reason:
                context.log.warning(f"{chain.name}, wallet {reading.wallet}: {reading.reason}")
        return dg.Output(readings, metadata=chain_metadata(readings))

    return fetch_chain


_FETCH_OPS = [_fetch_op(chain) for chain in load_settings().chains]


@dg.op(
    ins={"chains": dg.In(dg.Nothing, description="All chains have ended.")},
    out=dg.Out(io_manager_key=IN_MEMORY),
)
@traced
def value_portfolio(
    context: dg.OpExecutionContext,
    running: RunningSync,
    runtime: PipelineRuntime,
) -> dg.Output[ValuedSync]:
    """Names and prices the holdings, and computes the total."""
    with runtime.pipeline.recording_failure(running.sync):
        (valued,) = runtime.pipeline.value(running.fetch.result())
    for outage in valued.outages:
        context.log.warning(f"A source of prices did not answer: {outage}")
    return dg.Output(valued, metadata=valued_metadata(valued))


@dg.op(out=dg.Out(io_manager_key=IN_MEMORY))
@traced
def persist_portfolio(
    context: dg.OpExecutionContext, valued: ValuedSync, runtime: PipelineRuntime
) -> dg.Output[EndedSync]:
    """Stores holdings, history, status and events in one transaction."""
    with runtime.pipeline.recording_failure(valued.sync):
        stored = runtime.pipeline.store_one(valued)
    for alert in stored.alerts:
        context.log.warning(alert.payload["data"]["message"])
    return dg.Output(
        EndedSync(valued, stored),
        metadata={
            "status": stored.status,
            "version": stored.version,
            "rows_inserted": stored.rows.inserted,
            "rows_updated": stored.rows.updated,
            "rows_deleted": stored.rows.deleted,
        },
    )


@dg.op(out=dg.Out(io_manager_key=IN_MEMORY))
@traced
def publish_events(
    context: dg.OpExecutionContext, ended: EndedSync, runtime: PipelineRuntime, settings: PipelineSettings
) -> dg.Output[None]:
    """Publishes the sync's events, or wakes the relay. Kafka being down delays them; it never fails a sync."""
    # Without a Kafka, consumers read the outbox.
    published, published_by, delay = 0, "outbox", None
    if settings.values.kafka.brokers:
        from moonx_pipeline.events.publish import publish_pending  # Kafka's client: a tenth of a second of CPU, or more

        published, published_by, delay = publish_pending(
            runtime.value.db.engine,
            settings.values.kafka,
            [ended.stored.user_id, *(alert.key for alert in ended.stored.alerts)],
        )
    if delay:
        context.log.warning(delay)
    if ended.valued.sync.spec.trigger in PERSONAL_TRIGGERS:
        # The user looks at it now; an hourly job reads everybody else's.
        problem = refresh_quietly(runtime.value, ended.stored.user_id)
        if problem:
            context.log.warning(f"Price lines stay as they were: {problem}")
    metadata = {
        **outcome_metadata(ended.valued, ended.stored),
        "events_published": published,
        "events_published_by": published_by,
    }
    if ended.stored.status not in ("completed", "partial"):
        raise dg.Failure(
            f"The sync of user '{ended.stored.user_id}' ended as {ended.stored.status}. {ended.stored.message}",
            metadata=metadata,
            allow_retries=False,
        )
    context.log.info(outcome_line(ended.valued, ended.stored))
    return dg.Output(None, metadata=metadata)


@dg.graph_asset(
    partitions_def=users,
    group_name="portfolios",
    description="A user's portfolio: every wallet on every chain, priced, stored and published.",
)
def portfolio():  # type: ignore[no-untyped-def]  # it composes ops and returns Dagster's own object
    running = open_sync()
    chains = [fetch(running) for fetch in _FETCH_OPS]
    return publish_events(persist_portfolio(value_portfolio(running, chains=chains)))


portfolio_sync = dg.define_asset_job(
    "portfolio_sync",
    selection=dg.AssetSelection.assets(portfolio),
    executor_def=sync_executor,
    description="Syncs one user: the partition is the user's id.",
    # The sync retries by itself; a second layer above it would multiply the waits.
    tags={"dagster/retry_on_asset_or_op_failure": "false"},
)
