"""Request limits of the API: by user if the token is valid, else by address.

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

    def check_address(self, address: str) -> None:
        """Checks whether an address may still make requests.

        Raises:
            ApiError: 429, too many of them had no valid token.
        """
        if not self._counter.test(self._address, address):
            count_exceeded("api_address")
            raise self._too_many(self._address, address, "Too many requests without a valid token came from here")

    def count_refused(self, address: str) -> None:
        """Counts a request without a valid token."""
        self._counter.hit(self._address, address)

    def count_unsigned(self, address: str) -> None:
        """Counts a webhook delivery without a good signature, apart from all other requests of the address.

        Good deliveries come from the same addresses as bad ones, and are never counted.

        Raises:
            ApiError: 429, too many had no good signature.
        """
        key = f"webhook {address}"
        if not self._counter.hit(self._address, key):
            count_exceeded("api_webhook")
            raise self._too_many(self._address, key, "Too many deliveries without a good signature came from here")

    def _too_many(self, item: RateLimitItem, key: str, what: str) -> ApiError:
        seconds = max(1.0, self._counter.get_window_stats(item, key).reset_time - time.time())
        return ApiError(429, _CODE, f"{what}: try again in {seconds:.0f} s.", retry_after=timedelta(seconds=seconds))
