"""The rate limits of the providers, shared by all workers; each call passes one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from moonx_pipeline.clock import utc_now
from moonx_pipeline.domain.events import rfc3339
from moonx_pipeline.providers.errors import ProviderError, RateLimited
from moonx_pipeline.providers.rate_limiter import NO_BOUND
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.storage.connection.retries import Database, autocommit
from moonx_pipeline.storage.protection.rate_limits import Limit, block, blocked_seconds, take

_MINUTE: Final = timedelta(minutes=1)
COMPUTE_WINDOW: Final = timedelta(seconds=10)
"""Alchemy counts compute units over a rolling window of this length (https://www.alchemy.com/docs/reference/throughput)."""


RESERVED_SHARE: Final = 0.8
"""The share of a limit that reserved calls may take, so that some is always left for a user's call."""


def _part(most: int | None) -> int | None:
    return None if most is None else max(1, int(most * RESERVED_SHARE))


@dataclass(frozen=True, slots=True)
class ProviderRateLimiter:
    """The limits of one provider's key.

    Attributes:
        database: The pipeline's database.
        provider: Its display name.
        key: The limiter's key; blocks under it are respected, too.
        per_minute: Requests, or their weight, over all workers; ``None`` for no limit.
        compute_units: Units per second; ``None`` if the provider has none.
        patience_s: The longest that a call waits for its turn, in seconds.
    """

    database: Database
    provider: str
    key: str
    per_minute: int | None
    compute_units: int | None
    patience_s: float

    def acquire(self, scope: CallScope, *, cost: int, compute_units: int) -> datetime | None:
        """Waits for the call's turn; see ``RateLimiter``."""
        limits = [Limit(self.key, cost, self.per_minute, _MINUTE)]
        if self.compute_units is not None and compute_units:
            most = self.compute_units * int(COMPUTE_WINDOW.total_seconds())
            limits.append(Limit(f"{self.key}:compute_units", compute_units, most, COMPUTE_WINDOW))
        patience = timedelta(seconds=min(self.patience_s, scope.remaining() / 2))

        granted, wait, slot, *_ = self.database.read(scope.deadline, take, limits, patience)
        if granted and wait > 0:
            scope.waits.append(wait)
            time.sleep(wait)
            # While this call waited for its turn, the provider may have blocked another.
            granted, wait = self._still_free(scope)
        if not granted:
            raise self._used_up(wait)
        return slot

    def room(self, compute_units: int) -> int:
        """How many calls can be reserved at once; see ``RateLimiter``."""
        minute, window = self._shared()
        rooms = [NO_BOUND if minute.most is None else minute.most]
        if window is not None and window.most is not None and compute_units:
            rooms.append(window.most // compute_units)
        return max(1, min(rooms))

    def reserve(self, calls: int, *, compute_units: int) -> datetime | None:
        """Reserves permits for calls made now; see ``RateLimiter``."""
        minute, window = self._shared()
        limits = [minute._replace(cost=calls)]
        if window is not None and compute_units:
            limits.append(window._replace(cost=compute_units))
        with autocommit(self.database.engine) as connection:
            grant = take(connection, limits)
        if not grant.granted:
            raise self._used_up(grant.wait_seconds)
        return grant.slot

    def _shared(self) -> tuple[Limit, Limit | None]:
        """The limits for reserved calls, which leave some of each to others."""
        minute = Limit(self.key, 1, _part(self.per_minute), _MINUTE)
        if self.compute_units is None:
            return minute, None
        most = _part(self.compute_units * int(COMPUTE_WINDOW.total_seconds()))
        return minute, Limit(f"{self.key}:compute_units", 1, most, COMPUTE_WINDOW)

    def _used_up(self, seconds: float) -> RateLimited:
        come_back = utc_now() + timedelta(seconds=seconds)
        return RateLimited(
            f"{self.provider} was not asked: its rate limit is used up until {rfc3339(come_back)}.",
            provider=self.provider,
            retry_at=come_back,
        )

    def refused(self, error: ProviderError, slot: datetime | None) -> None:
        """Blocks all calls until the provider may be asked again; see ``RateLimiter``."""
        wait = None if error.retry_at is None else error.retry_at - utc_now()
        with autocommit(self.database.engine) as connection:
            until = block(connection, self.key, wait=wait, slot=slot, reason=str(error))
        error.retry_at = error.retry_at or until

    def _still_free(self, scope: CallScope) -> tuple[bool, float]:
        wait = self.database.read(scope.deadline, blocked_seconds, [self.key])
        return wait == 0, wait
