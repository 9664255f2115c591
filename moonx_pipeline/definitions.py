"""The one ``Definitions``. Importing it does no I/O."""

from __future__ import annotations

import dagster as dg

from moonx_pipeline.defs.checks import portfolio_complete, totals_add_up
from moonx_pipeline.defs.handover import in_run_handover
from moonx_pipeline.defs.portfolio import HANDOVER, portfolio, portfolio_sync
from moonx_pipeline.defs.resources import CircuitBreaker, Database, PipelineSettings, Providers, RateLimiter

_settings = PipelineSettings()
_database = Database(settings=_settings)
_providers = Providers(settings=_settings, database=_database)

defs = dg.Definitions(
    assets=[portfolio],
    asset_checks=[totals_add_up, portfolio_complete],
    jobs=[portfolio_sync],
    resources={
        "settings": _settings,
        "database": _database,
        "providers": _providers,
        "circuit_breaker": CircuitBreaker(providers=_providers),
        "rate_limiter": RateLimiter(settings=_settings, database=_database),
        HANDOVER: in_run_handover,
    },
)
