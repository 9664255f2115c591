"""The rate limits of the providers, shared by all workers: the gate that each call passes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, Engine

from moonx_pipeline.domain.events import rfc3339
from moonx_pipeline.providers.errors import ProviderError, RateLimited
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.storage.limiter import Limit, block, blocked_seconds, take
from moonx_pipeline.sync.repeat import Repeats, in_database

_MINUTE: Final = timedelta(minutes=1)
COMPUTE_WINDOW: Final = timedelta(seconds=10)
"""Alchemy counts compute units over a rolling window of this length (https://www.alchemy.com/docs/reference/throughput)."""


@dataclass(frozen=True, slots=True)
class ProviderGate:
    """The limits of one provider's key.

    Attributes:
        engine: The pipeline's database.
        provider: Its name for people.
        key: The limiter's, whose blocks are heeded, too.
        per_minute: Requests, or their weight, of all workers together; ``None`` for no limit.
        compute_units: A second; ``None`` where the provider has none.
        patience_s: The longest that a call waits for its turn.
        repeats: How the database is asked again where it is away.
    """

    engine: Engine
    provider: str
    key: str
    per_minute: int | None
    compute_units: int | None
    patience_s: float
    repeats: Repeats

    def enter(self, scope: CallScope, *, cost: int, compute_units: int) -> datetime | None:
        """Waits for the call's turn; see ``Gate``."""
        limits = [Limit(self.key, cost, self.per_minute, _MINUTE)]
        if self.compute_units is not None and compute_units:
            most = self.compute_units * int(COMPUTE_WINDOW.total_seconds())
            limits.append(Limit(f"{self.key}:compute_units", compute_units, most, COMPUTE_WINDOW))
        patience = timedelta(seconds=min(self.patience_s, scope.remaining() / 2))

        def ask() -> tuple[bool, float, datetime]:
            with self._connect() as connection:
                grant = take(connection, limits, patience)
            return grant.granted, grant.wait_seconds, grant.slot

        granted, wait, slot = in_database(self.repeats, scope.deadline, ask)
        if granted and wait > 0:
            scope.waits.append(wait)
            time.sleep(wait)
            # While it waited for its turn, another may have been told to stay away.
            granted, wait = self._still_free(scope)
        if not granted:
            come_back = datetime.now(UTC) + timedelta(seconds=wait)
            raise RateLimited(
                f"{self.provider} was not asked: its rate limit is used up until {rfc3339(come_back)}.",
                provider=self.provider,
                retry_at=come_back,
            )
        return slot

    def refused(self, error: ProviderError, slot: datetime | None) -> None:
        """Lets nobody ask before the provider may be asked again; see ``Gate``."""
        wait = None if error.retry_at is None else error.retry_at - datetime.now(UTC)
        with self._connect() as connection:
            until = block(connection, self.key, wait=wait, slot=slot, reason=str(error))
        error.retry_at = error.retry_at or until

    def _still_free(self, scope: CallScope) -> tuple[bool, float]:
        def ask() -> float:
            with self._connect() as connection:
                return blocked_seconds(connection, [self.key])

        wait = in_database(self.repeats, scope.deadline, ask)
        return wait == 0, wait

    def _connect(self) -> Connection:
        return self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
