"""The one ``Definitions``. Importing it does no I/O."""

from __future__ import annotations

import dagster as dg

from moonx_pipeline.defs.checks import portfolio_complete, totals_add_up
from moonx_pipeline.defs.handover import in_run_handover
from moonx_pipeline.defs.portfolio import HANDOVER, portfolio, portfolio_sync
from moonx_pipeline.defs.resources import Database, PipelineSettings, Providers

_settings = PipelineSettings()

defs = dg.Definitions(
    assets=[portfolio],
    asset_checks=[totals_add_up, portfolio_complete],
    jobs=[portfolio_sync],
    resources={
        "settings": _settings,
        "database": Database(settings=_settings),
        "providers": Providers(settings=_settings),
        HANDOVER: in_run_handover,
    },
)
