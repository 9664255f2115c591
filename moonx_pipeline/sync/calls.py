"""Calls to providers on behalf of syncs: by way of their circuit breakers, within a deadline, counted."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TypeVar

from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.sync.protection.breakers import Breakers, chain_key
from moonx_pipeline.sync.runtime import Providers

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ProviderCalls:
    """What calls on behalf of syncs have in common. Shared by threads.

    Attributes:
        providers: The clients.
        breakers: The circuit breakers, which each call passes and tells how it went.
        scope: The deadline and the tally of the calls.
    """

    providers: Providers
    breakers: Breakers
    scope: CallScope

    def until(self, deadline: float) -> ProviderCalls:
        """The same calls with another deadline (``time.monotonic()``)."""
        return replace(self, scope=self.scope.until(deadline))

    def make(self, key: str, ask: Callable[..., T], *what: object) -> T:
        """Makes a call; ``ask`` takes what is asked, then the scope.

        Raises:
            BreakerOpen: The breaker ``key`` is open, so nothing was asked.
            ProviderError: It did not give what was asked for.
        """
        return self.breakers.call(key, ask, *what, self.scope)

    def start(self, key: str, ask: Callable[..., T], *what: object) -> Future[T]:
        """Makes a call in another thread; see ``make``."""
        return self.providers.executor.submit(self.make, key, ask, *what)

    def alchemy_serves(self, chain_id: int) -> bool:
        """Whether Alchemy may be asked about a chain."""
        alchemy = self.providers.alchemy
        return alchemy is not None and alchemy.serves(chain_id) and not self.breakers.is_open(chain_key(chain_id))
