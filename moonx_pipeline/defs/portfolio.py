"""The asset ``portfolio``: one partition a user, one run a sync, one op a step."""

from dataclasses import dataclass
from uuid import UUID

import dagster as dg
from anyio.lowlevel import checkpoint

from moonx_pipeline.defs.executor import in_thread, sync_executor
from moonx_pipeline.defs.metadata import (
    breaker_metadata,
    chain_metadata,
    outcome_line,
    outcome_metadata,
    valued_metadata,
)
from moonx_pipeline.defs.partitions import users
from moonx_pipeline.defs.resources import Database, PipelineSettings, Providers
from moonx_pipeline.defs.runs import request_of
from moonx_pipeline.domain.chains import CHAINS, Chain
from moonx_pipeline.domain.portfolio import ChainBalances
from moonx_pipeline.sync import run_tags
from moonx_pipeline.sync.fetch import BalanceFetch
from moonx_pipeline.sync.open import open_sync as open_user_sync
from moonx_pipeline.sync.order import OpenSync, SyncOrder, SyncRefused
from moonx_pipeline.sync.persist import StoredSync
from moonx_pipeline.sync.progress import read_chain_and_tell
from moonx_pipeline.sync.user_sync import recording_failure, start_fetch, store_sync, utc_now
from moonx_pipeline.sync.value import ValuedSync, value_sync

HANDOVER = "handover"


@dataclass(frozen=True, slots=True)
class RunningSync:
    """A sync under way, as the ops of its run share it."""

    sync: OpenSync
    fetch: BalanceFetch


@dataclass(frozen=True, slots=True)
class EndedSync:
    """A stored sync and what it stored."""

    valued: ValuedSync
    stored: StoredSync


def _order(context: dg.OpExecutionContext) -> SyncOrder:
    tags = context.run.tags
    unattended = "backfill" if run_tags.BACKFILL in tags else "schedule" if run_tags.SCHEDULE in tags else None
    return SyncOrder(
        operation_id=UUID(context.run_id),
        user_id=context.partition_key,
        trigger=tags.get(run_tags.TRIGGER, unattended or "manual"),
        priority=tags.get(run_tags.PRIORITY, "medium"),
        request_id=request_of(context.run),
        run_id=context.run_id,
    )


@dg.op(out=dg.Out(io_manager_key=HANDOVER))
async def open_sync(context: dg.OpExecutionContext, database: Database, providers: Providers) -> dg.Output[RunningSync]:
    """Checks the user, records the sync as running, and begins to read balances."""
    await checkpoint()  # nothing is opened for a run that was cancelled meanwhile
    order = _order(context)
    try:
        sync = open_user_sync(database.engine, providers.sources, order, utc_now())
    except SyncRefused as refusal:
        again = {"retry_at": refusal.retry_at.timestamp()} if refusal.retry_at else {}
        raise dg.Failure(str(refusal), metadata={"code": refusal.code, **again}, allow_retries=False) from None
    with recording_failure(database.engine, providers.sources, sync):
        if not context.instance.has_dynamic_partition("users", order.user_id):
            # Registered by another system, straight in the database: he is a partition from now on.
            context.instance.add_dynamic_partitions("users", [order.user_id])
        tags = {run_tags.USER: order.user_id, run_tags.TRIGGER: order.trigger}
        if not tags.items() <= context.run.tags.items():
            context.instance.add_run_tags(context.run_id, tags)
        fetch = start_fetch(database.engine, providers.sources, sync)
    return dg.Output(
        RunningSync(sync, fetch),
        metadata={
            "wallets": len(sync.wallets),
            "first_read": sync.first_read,
            "try": sync.facts.retry_count,
            **breaker_metadata(sync.breakers),
        },
    )


def _fetch_op(chain: Chain) -> dg.OpDefinition:
    @dg.op(
        name=f"fetch_{chain.slug}",
        description=f"Reads the balances of all wallets on {chain.name}; a failure is an outcome, not an error.",
        out=dg.Out(io_manager_key=HANDOVER),
    )
    async def fetch_chain(
        context: dg.OpExecutionContext, running: RunningSync, database: Database, providers: Providers
    ) -> dg.Output[list[ChainBalances]]:
        with recording_failure(database.engine, providers.sources, running.sync):
            readings = await in_thread(read_chain_and_tell, database.engine, running.sync, running.fetch, chain.id)
        for reading in readings:
            if reading.reason:
                context.log.warning(f"{chain.name}, wallet {reading.wallet}: {reading.reason}")
        return dg.Output(readings, metadata=chain_metadata(readings))

    return fetch_chain


_FETCH_OPS = [_fetch_op(chain) for chain in CHAINS]


@dg.op(out=dg.Out(io_manager_key=HANDOVER))
async def value_portfolio(
    context: dg.OpExecutionContext,
    running: RunningSync,
    readings: list[list[ChainBalances]],
    database: Database,
    providers: Providers,
) -> dg.Output[ValuedSync]:
    """Names and prices what is held, and sums it up."""
    with recording_failure(database.engine, providers.sources, running.sync):
        valued = await in_thread(
            value_sync,
            database.engine,
            providers.sources,
            running.sync,
            [reading for chain in readings for reading in chain],
            quotes=running.fetch.quotes(),
            scope=running.fetch.scope,
            read_at=running.sync.facts.started_at,
        )
    for outage in valued.outages:
        context.log.warning(f"A source of prices did not answer: {outage}")
    return dg.Output(valued, metadata=valued_metadata(valued))


@dg.op(out=dg.Out(io_manager_key=HANDOVER))
async def persist_portfolio(
    context: dg.OpExecutionContext, valued: ValuedSync, database: Database, providers: Providers
) -> dg.Output[EndedSync]:
    """Stores holdings, history, status and events in one transaction."""
    await checkpoint()  # nothing is stored for a run that was cancelled meanwhile
    sources = providers.sources
    with recording_failure(database.engine, sources, valued.sync):
        stored = store_sync(database.engine, sources, valued, utc_now())
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


@dg.op(out=dg.Out(io_manager_key=HANDOVER))
def publish_events(
    context: dg.OpExecutionContext, ended: EndedSync, database: Database, settings: PipelineSettings
) -> dg.Output[None]:
    """Sees the sync's events on their way. Kafka being down delays them; it never fails a sync."""
    from moonx_pipeline.events.publish import publish_pending  # Kafka's client: a quarter of a second of every start

    sent = publish_pending(
        database.engine,
        settings.values.kafka,
        [ended.stored.user_id, *(alert.key for alert in ended.stored.alerts)],
    )
    if sent.problem:
        context.log.warning(sent.problem)
    metadata = {
        **outcome_metadata(ended.valued, ended.stored),
        "events_published": sent.published,
        "events_published_by": sent.by,
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
    description="A user's portfolio: every wallet on every chain, priced, stored and told of.",
)
def portfolio():  # type: ignore[no-untyped-def]  # it composes ops: what it returns is Dagster's own
    running = open_sync()
    readings = [fetch(running) for fetch in _FETCH_OPS]
    return publish_events(persist_portfolio(value_portfolio(running, readings)))


portfolio_sync = dg.define_asset_job(
    "portfolio_sync",
    selection=dg.AssetSelection.assets(portfolio),
    executor_def=sync_executor,
    description="Syncs one user: the partition is the user's id.",
    # What can be repeated is repeated within the sync; a second layer above it would multiply the waits.
    tags={"dagster/retry_on_asset_or_op_failure": "false"},
)
