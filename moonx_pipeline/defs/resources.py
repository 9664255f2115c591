"""What ops need from outside: settings, the database and the providers, one of each a process."""

from __future__ import annotations

import dagster as dg
from sqlalchemy import Engine

from moonx_pipeline.settings import Settings, load_settings
from moonx_pipeline.storage.database import ready_engine
from moonx_pipeline.sync.sources import Sources, process_sources


class PipelineSettings(dg.ConfigurableResource[None]):
    """The settings, read from the environment: run configuration holds none of them, and so no secret."""

    @property
    def values(self) -> Settings:
        return load_settings()


class Database(dg.ConfigurableResource[None]):
    """The pipeline's database."""

    settings: PipelineSettings

    @property
    def engine(self) -> Engine:
        """The process's engine, with the schema as this version needs it."""
        return ready_engine(self.settings.values)


class Providers(dg.ConfigurableResource[None]):
    """The providers of balances and prices."""

    settings: PipelineSettings

    @property
    def sources(self) -> Sources:
        return process_sources(self.settings.values)
