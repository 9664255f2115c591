"""How every simulated answer is given: counted, delayed, and spoiled where a fault says so."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Set
from dataclasses import dataclass, field

from starlette.responses import Response

from moonx_pipeline.simulator.fault_answers import faulty_response
from moonx_pipeline.simulator.faults import Fault, Faults, needs_good_answer
from moonx_pipeline.simulator.spoiling import Spoiled
from moonx_pipeline.simulator.world import World

_UNBILLED = frozenset({403, 429})
_NONE: Set[str] = frozenset()


@dataclass(slots=True)
class Simulation:
    """The world and its faults.

    Attributes:
        world: Who holds what.
        faults: What goes wrong, and the tally.
        contracts_a_call: Contracts that CoinGecko's plan takes in a call.
        per_minute: Requests a minute by provider; above it the provider's own refusal. Empty is no limit.
    """

    world: World = field(default_factory=World)
    faults: Faults = field(default_factory=Faults)
    contracts_a_call: int = 30
    per_minute: dict[str, int] = field(default_factory=dict)
    _asked: dict[str, deque[float]] = field(default_factory=dict)

    def is_over_limit(self, provider: str) -> bool:
        """Counts a request, and tells whether it is one too many within a minute."""
        limit = self.per_minute.get(provider)
        if limit is None:
            return False
        asked, now = self._asked.setdefault(provider, deque()), time.monotonic()
        while asked and now - asked[0] > 60:
            asked.popleft()
        asked.append(now)
        return len(asked) > limit

    def spoiled(
        self,
        provider: str,
        endpoints: str | Set[str],
        kinds: Set[str],
        *,
        networks: Set[str] = _NONE,
        wallets: Set[str] = _NONE,
        tokens: Set[str] | None = None,
    ) -> Spoiled:
        """What is wrong inside the answer to a request; each of those faults counts as used.

        Args:
            provider, endpoints: Whose answer it is.
            kinds: Faults that such an answer can have.
            networks, wallets: What is asked about.
            tokens: Contracts that are asked about; ``None`` where the answer decides them.
        """
        names = {endpoints} if isinstance(endpoints, str) else endpoints
        return Spoiled(self.faults.take(provider, names, kinds, networks=networks, wallets=wallets, tokens=tokens))

    def reset(self) -> None:
        """As at the start."""
        self.world = World()
        self.faults = Faults()
        self.contracts_a_call = 30
        self.per_minute.clear()
        self._asked.clear()


async def answer(
    simulation: Simulation,
    provider: str,
    endpoint: str,
    good: Callable[[], Response],
    *,
    others: Set[str] = _NONE,
    networks: Set[str] = _NONE,
    wallets: Set[str] = _NONE,
    units: int = 0,
) -> Response:
    """Gives the good answer, or the one that the first fitting fault makes of it.

    Args:
        simulation: The world and its faults.
        provider: Whose route it is.
        endpoint: Its short name.
        good: Makes the answer that a healthy provider gives; called only where some of it is sent.
        others: What is asked in the same request; a fault of one of them is a fault of it.
        networks: Networks that are asked about.
        wallets: Wallets that are asked about.
        units: Compute units of the call.
    """
    faults = simulation.faults
    delay = faults.latency_ms.get(provider, faults.latency_ms.get("all", 0.0))
    if delay:
        await asyncio.sleep(delay / 1000)
    fault = next(faults.take(provider, {endpoint, *others}, networks=networks, wallets=wallets), None)
    if fault is None and simulation.is_over_limit(provider):
        fault = Fault(0, "rate_limit", provider)
    response = good() if fault is None or needs_good_answer(fault) else Response()
    if fault is not None:
        response = faulty_response(fault.provider, fault.kind, fault.params, response)
    faults.requests[f"{provider} {endpoint} {response.status_code}"] += 1
    if response.status_code not in _UNBILLED:
        faults.compute_units += units
    return response
