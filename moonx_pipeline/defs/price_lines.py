"""Price lines, read once an hour."""

import dagster as dg

from moonx_pipeline.defs.resources import PipelineRuntime
from moonx_pipeline.providers.errors import ProviderError
from moonx_pipeline.settings import load_settings
from moonx_pipeline.sync.pricing.price_lines import refresh_price_lines

_MOST_CALLS = 4
"""In an hour: a thousand coins, the most valuable holdings first. The next hour goes on from there."""


@dg.op(description="Reads what coins that somebody holds were worth over the last week, many a call.")
def read_price_lines(context: dg.OpExecutionContext, runtime: PipelineRuntime) -> None:
    lines = 0
    for _ in range(_MOST_CALLS):
        try:
            read = refresh_price_lines(runtime.value)
        except ProviderError as problem:
            raise dg.Failure(f"Price lines stay as they were: {problem}", allow_retries=False) from None
        if read == 0:
            break
        lines += read
    context.add_output_metadata({"lines": lines})


@dg.job(
    executor_def=dg.in_process_executor,
    description="Reads the price lines of all that is held and counted.",
    # No retries: the next hour does the rest.
    tags={"dagster/retry_on_asset_or_op_failure": "false"},
)
def price_lines() -> None:
    read_price_lines()


hourly_price_lines = dg.ScheduleDefinition(
    name="hourly_price_lines",
    job=price_lines,
    cron_schedule="25 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING
    if load_settings().periodic.enabled
    else dg.DefaultScheduleStatus.STOPPED,
    description="Reads the price lines that are older than an hour.",
)
