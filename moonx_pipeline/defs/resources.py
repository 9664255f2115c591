"""Dagster resources: settings, the database and the providers, one of each a process."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import dagster as dg
from sqlalchemy import Engine

from moonx_pipeline.domain.events import Event
from moonx_pipeline.settings import Settings, load_settings
from moonx_pipeline.storage.connection.engine import ready_engine
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.protection.breaker_rows import BreakerState, breakers, closed
from moonx_pipeline.storage.protection.rate_limits import Block, Grant, Limit, current_blocks, take
from moonx_pipeline.sync.pipeline import SyncPipeline
from moonx_pipeline.sync.protection.breakers import Breakers, load_breakers, report_breakers, reset
from moonx_pipeline.sync.requests.ask import manual_sync_limit
from moonx_pipeline.sync.runtime import Runtime, process_runtime
from moonx_pipeline.tracing import start_tracing


class PipelineSettings(dg.ConfigurableResource[None]):
    """The settings, read from the environment: run configuration holds none, and so no secret."""

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Starts tracing, if it is configured, before a run's first op."""
        start_tracing(self.values, "run")

    @property
    def values(self) -> Settings:
        return load_settings()


class Database(dg.ConfigurableResource[None]):
    """The pipeline's database."""

    settings: PipelineSettings

    @property
    def engine(self) -> Engine:
        """The process's engine; the schema is checked to be this version's."""
        return ready_engine(self.settings.values)


class PipelineRuntime(dg.ConfigurableResource[None]):
    """What syncs use: the database, the providers under the rate limits of all workers, and the rules."""

    settings: PipelineSettings
    database: Database

    @property
    def value(self) -> Runtime:
        return process_runtime(self.settings.values, self.database.engine)

    @property
    def pipeline(self) -> SyncPipeline:
        """The stages of a sync."""
        return SyncPipeline(self.value)


class CircuitBreaker(dg.ConfigurableResource[None]):
    """The circuit breakers, for ops, sensors and schedules that ask before they act."""

    runtime: PipelineRuntime

    def state_of(self, key: str) -> BreakerState:
        """A breaker's state; reading it changes nothing and begins no probe."""
        with self.runtime.database.engine.connect() as connection:
            row = next((row for row in breakers(connection) if row.key == key), None)
        if row is None or not self.runtime.value.policy.breakers.enabled:
            return closed(key)
        return BreakerState(
            key,
            row.state == "closed",
            row.state,
            row.epoch,
            row.failure_count,
            row.opened_at,
            row.retry_at,
            row.cause,
            row.last_error,
        )

    def ask(self, *keys: str) -> Breakers:
        """The breakers of keys, for a caller that will report by ``tell`` and may be a probe."""
        return load_breakers(self.runtime.value.db, self.runtime.value.policy.breakers, keys)

    def tell(self, found: Breakers) -> list[Event]:
        """Records a caller's outcomes; returns an alert for each breaker that opened or closed."""
        return report_breakers(self.runtime.value.db, found)

    def reset(self, key: str) -> bool:
        """Closes a breaker by hand; ``False`` if it is closed already."""
        return bool(reset(self.runtime.database.engine, [key]))


class RateLimiter(dg.ConfigurableResource[None]):
    """The rate limits that all workers share."""

    settings: PipelineSettings
    database: Database

    def take(self, limits: Sequence[Limit], patience: timedelta = timedelta(0)) -> Grant:
        """Takes a call's cost from its limits, or says when to try again."""
        with autocommit(self.database.engine) as connection:
            return take(connection, limits, patience)

    def take_manual_sync(self, user_id: str) -> Grant:
        """Takes one permit of the syncs that a user may ask for."""
        with autocommit(self.database.engine) as connection:
            return take(connection, [manual_sync_limit(self.settings.values.worker, user_id)])

    def blocks(self) -> list[Block]:
        """The blocks in force now."""
        with self.database.engine.connect() as connection:
            return current_blocks(connection)
