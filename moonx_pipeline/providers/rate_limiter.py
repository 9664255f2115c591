"""The gate that every call passes: where the rate limits that all workers share are kept."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Protocol

from moonx_pipeline.providers.errors import ProviderError
from moonx_pipeline.providers.scope import CallScope

NO_BOUND: Final = 1_000_000
"""Calls; more than anybody makes together."""


class RateLimiterProtocol(Protocol):
    """One provider's limits. Shared by threads."""

    def enter(self, scope: CallScope, *, cost: int, compute_units: int) -> datetime | None:
        """Waits for the call's turn.

        Args:
            scope: Its deadline is never overrun; what was waited is added to its tally.
            cost: What the call counts for, in the provider's own measure of requests.
            compute_units: What it costs beside; 0 where the provider has no such limit.

        Returns:
            For when the call was granted.

        Raises:
            RateLimited: Its turn would come too late; the error says when.
        """

    def room(self, compute_units: int) -> int:
        """How many calls that cost so much can be reserved together at most."""

    def reserve(self, calls: int, *, compute_units: int) -> datetime | None:
        """Takes the turns of calls that are made now, together. It waits for nothing and queues nowhere.

        It leaves a part of the limits to calls that are made one by one, for people.

        Args:
            calls: At most the ``room`` there is.
            compute_units: What all of them cost.

        Returns:
            For when the calls were granted.

        Raises:
            RateLimited: There is no room now; the error says when to come back.
        """

    def refused(self, error: ProviderError, slot: datetime | None) -> None:
        """Takes in that the provider itself refused a call: nobody asks before it may be asked again.

        Args:
            error: It is given the time to come back, where it has none.
            slot: What ``enter`` had returned.
        """


class NullRateLimiter:
    """No limits but the provider's own."""

    def enter(self, scope: CallScope, *, cost: int, compute_units: int) -> datetime | None:
        return None

    def room(self, compute_units: int) -> int:
        return NO_BOUND

    def reserve(self, calls: int, *, compute_units: int) -> datetime | None:
        return None

    def refused(self, error: ProviderError, slot: datetime | None) -> None:
        return None
