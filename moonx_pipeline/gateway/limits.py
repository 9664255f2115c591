"""Request limits of the API: by user if the token is valid, else by address.

Who has a good token is never refused for what others of the same address do: many people share one behind a proxy.

They are counted in the memory of one gateway, and only keep one caller from starving the others. The limit of syncs
that a user may ask for is counted in the database, over all gateways.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Final

from limits import RateLimitItem, RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from moonx_pipeline.gateway.answers import ApiError
from moonx_pipeline.metrics.protection import count_exceeded
from moonx_pipeline.settings.service import GatewaySettings

_CODE: Final = "too_many_requests"


class RequestLimits:
    """Counts requests. Used by many threads."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._counter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._user = RateLimitItemPerMinute(settings.user_rate_max)
        self._address = RateLimitItemPerSecond(settings.rate_max, max(1, settings.rate_window_ms // 1000))

    def count_user(self, user_id: str) -> None:
        """Counts a request of a user.

        Raises:
            ApiError: 429, they have made too many.
        """
        if not self._counter.hit(self._user, user_id):
            count_exceeded("api_user")
            raise self._too_many(self._user, user_id, "You have made too many requests")

    def count_refused(self, address: str) -> None:
        """Counts a request without a good token; those with one are never counted, whatever their address.

        Raises:
            ApiError: 429, there were too many.
        """
        self._count_address("api_address", address, "Too many requests without a valid token came from here")

    def count_unsigned(self, address: str) -> None:
        """Counts a webhook delivery without a good signature, apart from all other requests of the address.

        Raises:
            ApiError: 429, too many had no good signature.
        """
        key = f"webhook {address}"
        self._count_address("api_webhook", key, "Too many deliveries without a good signature came from here")

    def count_logo(self, address: str) -> None:
        """Counts a request for a logo that has to be fetched: as many a minute of an address as a user has.

        Raises:
            ApiError: 429, there were too many.
        """
        key = f"logo {address}"
        if not self._counter.hit(self._user, key):
            count_exceeded("api_logo")
            raise self._too_many(self._user, key, "Too many requests for logos came from here")

    def _count_address(self, metric: str, key: str, what: str) -> None:
        if not self._counter.hit(self._address, key):
            count_exceeded(metric)
            raise self._too_many(self._address, key, what)

    def _too_many(self, item: RateLimitItem, key: str, what: str) -> ApiError:
        seconds = max(1.0, self._counter.get_window_stats(item, key).reset_time - time.time())
        return ApiError(429, _CODE, f"{what}: try again in {seconds:.0f} s.", retry_after=timedelta(seconds=seconds))
