"""Dagster's ``Definitions``. Importing this module does no I/O."""

from __future__ import annotations

import dagster as dg

from moonx_pipeline.loading import kept_for_good

with kept_for_good():
    from moonx_pipeline.defs.checks import portfolio_complete, totals_add_up
    from moonx_pipeline.defs.in_memory_io import in_memory_io
    from moonx_pipeline.defs.lost_workers import lost_workers
    from moonx_pipeline.defs.maintenance import maintenance, nightly_maintenance
    from moonx_pipeline.defs.packing import hourly_packing, packing
    from moonx_pipeline.defs.portfolio import IN_MEMORY, portfolio, portfolio_sync
    from moonx_pipeline.defs.price_lines import hourly_price_lines, price_lines
    from moonx_pipeline.defs.resources import CircuitBreaker, Database, PipelineRuntime, PipelineSettings, RateLimiter
    from moonx_pipeline.defs.schedules import market_hours_sweep, off_hours_sweep
    from moonx_pipeline.defs.sensors import sync_requests
    from moonx_pipeline.defs.sweep import portfolio_sweep
    from moonx_pipeline.defs.token_registry import daily_token_registry, refresh_token_registry, token_registry
    from moonx_pipeline.defs.undelivered_runs import undelivered_runs

_settings = PipelineSettings()
_database = Database(settings=_settings)
_runtime = PipelineRuntime(settings=_settings, database=_database)

defs = dg.Definitions(
    assets=[portfolio, token_registry],
    asset_checks=[totals_add_up, portfolio_complete],
    jobs=[portfolio_sync, portfolio_sweep, maintenance, refresh_token_registry, price_lines, packing],
    schedules=[
        market_hours_sweep,
        off_hours_sweep,
        nightly_maintenance,
        daily_token_registry,
        hourly_price_lines,
        hourly_packing,
    ],
    sensors=[sync_requests, undelivered_runs, lost_workers],
    resources={
        "settings": _settings,
        "database": _database,
        "runtime": _runtime,
        "circuit_breaker": CircuitBreaker(runtime=_runtime),
        "rate_limiter": RateLimiter(settings=_settings, database=_database),
        IN_MEMORY: in_memory_io,
    },
)
