"""What ops need from outside: settings, the database and the providers, one of each a process."""

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
    """The settings, read from the environment: run configuration holds none of them, and so no secret."""

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Before the first op of any run: what it does is recorded, where traces are."""
        start_tracing(self.values, "run")

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


class PipelineRuntime(dg.ConfigurableResource[None]):
    """What syncs work with: the database, the providers within the limits that all workers share, and the rules."""

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
        """How a breaker stands; nothing is changed, and no probe begun."""
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
        """The breakers of keys as a caller who will report by ``tell`` has them; he may be a probe."""
        return load_breakers(self.runtime.value.db, self.runtime.value.policy.breakers, keys)

    def tell(self, found: Breakers) -> list[Event]:
        """Takes in what a caller noted; returns the alert of each breaker that opened or closed."""
        return report_breakers(self.runtime.value.db, found)

    def reset(self, key: str) -> bool:
        """Closes a breaker by hand; ``False`` where it is closed."""
        return bool(reset(self.runtime.database.engine, [key]))


class RateLimiter(dg.ConfigurableResource[None]):
    """The rate limits that all workers share."""

    settings: PipelineSettings
    database: Database

    def take(self, limits: Sequence[Limit], patience: timedelta = timedelta(0)) -> Grant:
        """Takes what a call costs of its limits, or says when to come back."""
        with autocommit(self.database.engine) as connection:
            return take(connection, limits, patience)

    def take_manual_sync(self, user_id: str) -> Grant:
        """Takes one of the syncs that a person may ask for."""
        with autocommit(self.database.engine) as connection:
            return take(connection, [manual_sync_limit(self.settings.values.worker, user_id)])

    def blocks(self) -> list[Block]:
        """The blocks that hold now."""
        with self.database.engine.connect() as connection:
            return current_blocks(connection)
