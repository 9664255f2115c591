"""The job ``portfolio_sweep``: one run syncs the due users of a shard."""

import dagster as dg

from moonx_pipeline.defs.metadata import Metadata
from moonx_pipeline.defs.partitions import users
from moonx_pipeline.defs.resources import PipelineRuntime, PipelineSettings
from moonx_pipeline.domain.show import safe_text
from moonx_pipeline.settings import Settings
from moonx_pipeline.storage.syncs.webhooks import Webhooks
from moonx_pipeline.sync import run_tags
from moonx_pipeline.sync.sweep import Sweep, SweepReport, SweepSpec
from moonx_pipeline.tracing import span

SWEEPS = dg.AssetKey("portfolio_sweeps")
"""Each sweep is one materialization of this asset: a row a user and sweep would swamp the event log."""


class SweepConfig(dg.Config):
    """The shard of users that a run is for."""

    shard: int = 0
    shards: int = 1


@dg.op(description="Syncs users that are due, in micro-batches, until nobody is or its time is over.")
def sweep_users(
    context: dg.OpExecutionContext,
    config: SweepConfig,
    settings: PipelineSettings,
    runtime: PipelineRuntime,
) -> None:
    from moonx_pipeline.events.publish import publish_pending  # Kafka's client: a quarter of a second of every start

    spec = sweep_spec(settings.values, shard=config.shard, shards=config.shards, run_id=context.run_id)
    with span("portfolio_sweep", {"moonx.run": context.run_id, "moonx.shard": f"{spec.shard + 1} of {spec.shards}"}):
        report = Sweep(runtime.value, spec).run()
    if report.new_users:
        context.instance.add_dynamic_partitions(str(users.name), report.new_users)
    # A relay, if one runs, has published all along; without one, the rest is published here.
    sent = publish_pending(runtime.database.engine, settings.values.kafka)
    if sent.problem:
        context.log.warning(sent.problem)
    for user_id, reason in report.problems.items():
        context.log.warning(f"User '{safe_text(user_id)}' was not synced: {reason}")
    context.log_event(dg.AssetMaterialization(SWEEPS, description=report.ended, metadata=_metadata(report, spec)))
    context.log.info(
        f"{report.users:,} users in {report.seconds:.1f} s, {report.changed:,} changed, {report.statuses['failed']:,} "
        f"failed, {report.provider_calls:,} provider calls, {report.compute_units:,} compute units. {report.ended}"
    )


def sweep_spec(settings: Settings, *, shard: int, shards: int, run_id: str | None) -> SweepSpec:
    """A sweep by the settings."""
    return SweepSpec(
        batch_size=settings.periodic.batch_size,
        shard=shard,
        shards=shards,
        max_users=settings.periodic.max_users,
        webhooks=Webhooks.of(settings),
        run_id=run_id,
    )


def _metadata(report: SweepReport, spec: SweepSpec) -> Metadata:
    synced = report.users
    return {
        "ended": report.ended,
        "shard": f"{spec.shard + 1} of {spec.shards}",
        "users": synced,
        **{f"users {status}": count for status, count in sorted(report.statuses.items())},
        "users changed": report.changed,
        "users by price only": report.price_only,
        "holdings rows touched": report.rows,
        "batches": report.batches,
        "seconds": round(report.seconds, 3),
        "users_per_minute": round(synced / report.seconds * 60) if report.seconds else 0,
        "provider_calls": report.provider_calls,
        "compute_units": report.compute_units,
        "compute_units_per_user": round(report.compute_units / synced, 1) if synced else 0.0,
        "failed_users": dg.MetadataValue.json(report.problems),
    }


@dg.job(
    name="portfolio_sweep",
    executor_def=dg.in_process_executor,
    description="Syncs all due users, unattended.",
    tags={run_tags.TRIGGER: "schedule", "dagster/retry_on_asset_or_op_failure": "false"},
)
def portfolio_sweep() -> None:
    sweep_users()
