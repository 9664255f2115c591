"""Schedules that start sweeps, more often in market hours. Who is due is data; they only look."""

import dagster as dg

from moonx_pipeline.clock import utc_now
from moonx_pipeline.defs.resources import PipelineRuntime, PipelineSettings
from moonx_pipeline.defs.runs import UNDER_WAY
from moonx_pipeline.defs.sweep import SweepConfig, portfolio_sweep
from moonx_pipeline.domain.schedule import MARKET_CLOSES, MARKET_OPENS
from moonx_pipeline.settings import load_settings
from moonx_pipeline.settings.worker import PeriodicSettings
from moonx_pipeline.sync import run_tags
from moonx_pipeline.sync.sweep import why_no_sweep


def market_hours_cron(periodic: PeriodicSettings) -> str:
    """The cron expression of ticks from 9 to 17 UTC."""
    minute = periodic.cron.split()[0]
    return f"{minute} {MARKET_OPENS}-{MARKET_CLOSES - 1} * * *"


def off_hours_cron(periodic: PeriodicSettings) -> str:
    """The cron expression of ticks at other times, at the off-hours interval if that divides an hour."""
    minutes = periodic.off_hours_ms // 60_000
    minute = f"*/{minutes}" if 1 < minutes < 60 and 60 % minutes == 0 else periodic.cron.split()[0]
    return f"{minute} 0-{MARKET_OPENS - 1},{MARKET_CLOSES}-23 * * *"


def _sweeps(
    context: dg.ScheduleEvaluationContext, settings: PipelineSettings, runtime: PipelineRuntime
) -> list[dg.RunRequest] | dg.SkipReason:
    """A run for each shard whose last sweep has ended."""
    why = why_no_sweep(runtime.database.engine, runtime.value.policy.intervals, utc_now())
    if why is not None:
        return dg.SkipReason(why)
    shards = settings.values.periodic.shards
    under_way = {
        run.tags.get(run_tags.SHARD, "0")
        for run in context.instance.get_runs(dg.RunsFilter(job_name=portfolio_sweep.name, statuses=UNDER_WAY))
    }
    free = [shard for shard in range(shards) if str(shard) not in under_way]
    if not free:
        return dg.SkipReason("The sweep that began before still goes on.")
    tick = context.scheduled_execution_time.isoformat()
    return [
        dg.RunRequest(
            run_key=f"{tick}/{shard}",
            run_config=dg.RunConfig(ops={"sweep_users": SweepConfig(shard=shard, shards=shards)}),
            tags={run_tags.SHARD: str(shard)},
        )
        for shard in free
    ]


def _schedule(name: str, cron: str, description: str) -> dg.ScheduleDefinition:
    is_on = load_settings().periodic.enabled

    @dg.schedule(
        name=name,
        job=portfolio_sweep,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING if is_on else dg.DefaultScheduleStatus.STOPPED,
        description=description,
    )
    def sweeps(
        context: dg.ScheduleEvaluationContext, settings: PipelineSettings, runtime: PipelineRuntime
    ) -> list[dg.RunRequest] | dg.SkipReason:
        return _sweeps(context, settings, runtime)

    return sweeps


market_hours_sweep = _schedule(
    "market_hours_sweep",
    market_hours_cron(load_settings().periodic),
    "Syncs whoever is due, from 9 to 17 UTC.",
)
off_hours_sweep = _schedule(
    "off_hours_sweep",
    off_hours_cron(load_settings().periodic),
    "Syncs whoever is due, at other times.",
)
