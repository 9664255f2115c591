"""The rate limiter as providers see it: every call passes it, and all workers share its limits."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Protocol

from moonx_pipeline.providers.errors import ProviderError
from moonx_pipeline.providers.scope import CallScope

NO_BOUND: Final = 1_000_000
"""Effectively unlimited, in calls."""


class RateLimiter(Protocol):
    """One provider's limits. Shared by threads."""

    def acquire(self, scope: CallScope, *, cost: int, compute_units: int) -> datetime | None:
        """Waits for the call's permit.

        Args:
            scope: Its deadline is never exceeded; the wait is added to its tally.
            cost: What the call counts for, in the provider's own measure of requests.
            compute_units: What it costs in addition; 0 if the provider has no such limit.

        Returns:
            The slot that the call was granted.

        Raises:
            RateLimited: Its slot would come too late; the error says when.
        """

    def room(self, compute_units: int) -> int:
        """How many calls of this cost can be reserved together at most."""

    def reserve(self, calls: int, *, compute_units: int) -> datetime | None:
        """Reserves permits for calls that are made now, together. It never waits or queues.

        It leaves a part of the limits to calls made one by one, for users who wait.

        Args:
            calls: At most the ``room`` there is.
            compute_units: What all of them cost.

        Returns:
            The slot that the calls were granted.

        Raises:
            RateLimited: There is no room now; the error says when to come back.
        """

    def refused(self, error: ProviderError, slot: datetime | None) -> None:
        """Records that the provider itself refused a call, so that no worker asks before it may be asked again.

        Args:
            error: It gets the time to come back if it has none.
            slot: What ``acquire`` returned.
        """


class NullRateLimiter:
    """A rate limiter without limits; the provider's own still apply."""

    def acquire(self, scope: CallScope, *, cost: int, compute_units: int) -> datetime | None:
        return None

    def room(self, compute_units: int) -> int:
        return NO_BOUND

    def reserve(self, calls: int, *, compute_units: int) -> datetime | None:
        return None

    def refused(self, error: ProviderError, slot: datetime | None) -> None:
        return None
