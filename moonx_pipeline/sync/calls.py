"""Calls to providers on behalf of syncs: through circuit breakers, within a deadline, counted."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TypeVar

from moonx_pipeline.domain.providers import ALCHEMY
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.sync.clients import Providers
from moonx_pipeline.sync.protection.breakers import Breakers

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ProviderCalls:
    """Makes a sync's calls to providers. Shared by threads.

    Attributes:
        providers: The clients.
        breakers: The circuit breakers; each call passes one and reports its result to it.
        scope: The deadline and the tally of the calls.
    """

    providers: Providers
    breakers: Breakers
    scope: CallScope

    def until(self, deadline: float) -> ProviderCalls:
        """The same calls with another deadline (``time.monotonic()``)."""
        return replace(self, scope=self.scope.until(deadline))

    def make(self, key: str, ask: Callable[..., T], *what: object) -> T:
        """Makes a call: ``ask(*what, scope)``.

        Raises:
            BreakerOpen: The breaker ``key`` is open, so no call was made.
            ProviderError: The call failed.
        """
        return self.breakers.call(key, ask, *what, self.scope)

    def start(self, key: str, ask: Callable[..., T], *what: object) -> Future[T]:
        """Makes a call of a price source in one of its threads; see ``make``."""
        return self.providers.price_executors[key].submit(self.make, key, ask, *what)

    def alchemy_serves(self, chain_id: int) -> bool:
        """Whether Alchemy may be asked about a chain."""
        alchemy = self.providers.alchemy
        is_served = alchemy is not None and alchemy.serves(chain_id)
        return is_served and not self.breakers.is_open(ALCHEMY.breaker_of(chain_id))
