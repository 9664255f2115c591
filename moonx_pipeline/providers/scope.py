"""The scope of one sync's provider calls: its deadline, and a tally of its calls."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import NamedTuple


class ProviderCall(NamedTuple):
    """One HTTP request that was sent.

    Attributes:
        provider: ``alchemy``, ``rpc``, ``binance``, ``coingecko``, ``dexscreener`` or ``defillama``.
        chain_id: The chain asked about; ``None`` if the call is about several or none.
        endpoint: Short name of the request, such as ``balances`` or ``eth_call``.
        outcome: ``ok``, or the class name of the error.
        seconds: Wall time of the call.
        compute_units: What the call costs by the provider's price list; 0 if it has none.
    """

    provider: str
    chain_id: int | None
    endpoint: str
    outcome: str
    seconds: float
    compute_units: int


@dataclass(slots=True)
class CallScope:
    """Deadline and tally, shared by the threads of one sync.

    Attributes:
        deadline: ``time.monotonic()`` at which every call of the scope ends.
        calls: The calls so far; only ever appended to, so threads need no lock.
        waits: Seconds that calls waited for the limits that all workers share; appended to in the same way.
    """

    deadline: float
    calls: list[ProviderCall] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    @classmethod
    def lasting(cls, seconds: float) -> CallScope:
        """A scope that ends ``seconds`` from now."""
        return cls(deadline=time.monotonic() + seconds)

    def until(self, deadline: float) -> CallScope:
        """The same tally with another deadline."""
        return CallScope(deadline, self.calls, self.waits)

    def remaining(self) -> float:
        """Seconds until the deadline, never negative."""
        return max(0.0, self.deadline - time.monotonic())

    @property
    def compute_units(self) -> int:
        return sum(call.compute_units for call in self.calls)
