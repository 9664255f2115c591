"""The token registry as an asset: published lists, read once a day."""

import time

import dagster as dg

from moonx_pipeline.defs.markdown import markdown_text
from moonx_pipeline.defs.metadata import Metadata
from moonx_pipeline.defs.resources import PipelineRuntime, PipelineSettings
from moonx_pipeline.settings import load_settings
from moonx_pipeline.sync.pricing.registry_refresh import RefreshedList, RegistryRefresh, refresh_registry


@dg.asset(
    group_name="tokens",
    description="Which contracts are known by name: CoinGecko's listing and the lists of TOKEN_LISTS, read anew. "
    "A list that can't be read keeps what it said.",
)
def token_registry(
    context: dg.AssetExecutionContext, settings: PipelineSettings, runtime: PipelineRuntime
) -> dg.MaterializeResult[None]:
    started = time.monotonic()
    refresh = refresh_registry(runtime.value.db, settings.values, runtime.value.policy.breakers)
    failed = [taken for taken in refresh.lists if taken.error is not None]
    for taken in failed:
        context.log.warning(f"{taken.name} was not taken, and keeps what it said: {taken.error}")
    for name in refresh.forgotten:
        context.log.info(f"{name} is configured no more, and names no contract from now on.")
    metadata = _metadata(refresh, time.monotonic() - started)
    if len(failed) == len(refresh.lists):
        raise dg.Failure(
            "No list could be read: what each of them said before stays. The reasons are above; the next day reads "
            "them again, and so does the job 'refresh_token_registry'.",
            metadata=metadata,
            allow_retries=False,
        )
    return dg.MaterializeResult(metadata=metadata)


def _metadata(refresh: RegistryRefresh, seconds: float) -> Metadata:
    lists = refresh.lists
    return {
        "lists": dg.MetadataValue.md(_table(lists)),
        "tokens": dg.MetadataValue.json({taken.name: taken.tokens for taken in lists}),
        "added": sum(taken.change.added for taken in lists),
        "removed": sum(taken.change.removed for taken in lists),
        "renamed": sum(taken.change.renamed for taken in lists),
        "errors": dg.MetadataValue.json({taken.name: taken.error for taken in lists if taken.error}),
        "forgotten": ", ".join(refresh.forgotten) or "none",
        "seconds": round(seconds, 3),
    }


def _table(lists: tuple[RefreshedList, ...]) -> str:
    lines = ["| list | tokens | added | removed | renamed | seconds | error |", "| --- |" + " ---: |" * 5 + " --- |"]
    lines += [
        f"| {markdown_text(taken.name)} | {taken.tokens:,} | {taken.change.added:,} | {taken.change.removed:,} "
        f"| {taken.change.renamed:,} | {taken.seconds:.2f} | {markdown_text(taken.error or '')} |"
        for taken in lists
    ]
    return "\n".join(lines)


refresh_token_registry = dg.define_asset_job(
    "refresh_token_registry",
    selection=dg.AssetSelection.assets(token_registry),
    executor_def=dg.in_process_executor,
    description="Reads the token lists that are not in the package.",
    # A list that fails is read again the next day; until then its old entries stay.
    tags={"dagster/retry_on_asset_or_op_failure": "false"},
)

daily_token_registry = dg.ScheduleDefinition(
    name="daily_token_registry",
    job=refresh_token_registry,
    cron_schedule="10 2 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING
    if load_settings().periodic.enabled
    else dg.DefaultScheduleStatus.STOPPED,
    description="Reads the token lists once a day, at a quiet time.",
)
