"""Gives every simulated answer: counts it, delays it, and applies faults."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from starlette.responses import Response

from moonx_pipeline.simulator.fault_answers import faulty_response
from moonx_pipeline.simulator.faults import Fault, Faults, needs_good_answer
from moonx_pipeline.simulator.spoiling import Spoiled
from moonx_pipeline.simulator.world import World

_UNBILLED = frozenset({403, 429})
_NONE: Set[str] = frozenset()
_CALLS_KEPT: Final = 50_000


class Call(NamedTuple):
    """An answered request.

    Attributes:
        at: When it was answered, as a Unix time.
        provider, endpoint, status: What was asked, and the HTTP status of the answer.
    """

    at: float
    provider: str
    endpoint: str
    status: int


@dataclass(slots=True)
class Simulation:
    """The world and its faults.

    Attributes:
        world: Tokens, holdings and prices.
        faults: The faults that are on, and the tally of requests.
        contracts_a_call: The most contracts that CoinGecko's plan takes in a call.
        per_minute: The limit of requests a minute by provider; above it the provider refuses. Empty is no limit.
        calls: The latest answers, the newest last.
    """

    world: World = field(default_factory=World)
    faults: Faults = field(default_factory=Faults)
    contracts_a_call: int = 30
    per_minute: dict[str, int] = field(default_factory=dict)
    calls: deque[Call] = field(default_factory=lambda: deque(maxlen=_CALLS_KEPT))
    _asked: dict[str, deque[float]] = field(default_factory=dict)

    def is_over_limit(self, provider: str) -> bool:
        """Counts a request; returns whether it exceeds the limit of a minute."""
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
        """The faults inside the answer to a request; each counts as used.

        Args:
            provider, endpoints: The provider and endpoints of the answer.
            kinds: Faults that such an answer can have.
            networks, wallets: The networks and wallets asked about.
            tokens: The contracts asked about; ``None`` if the answer decides them.
        """
        names = {endpoints} if isinstance(endpoints, str) else endpoints
        return Spoiled(self.faults.take(provider, names, kinds, networks=networks, wallets=wallets, tokens=tokens))

    def reset(self) -> None:
        """Resets world and faults to their start."""
        self.world = World()
        self.faults = Faults()
        self.contracts_a_call = 30
        self.per_minute.clear()
        self.calls.clear()
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
    """Gives the good answer, or what the first fitting fault makes of it.

    Args:
        simulation: The world and its faults.
        provider: The route's provider.
        endpoint: The route's short name.
        good: Makes a healthy provider's answer; called only if some of it is sent.
        others: Other endpoints in the same request; their faults hit it, too.
        networks: Networks asked about.
        wallets: Wallets asked about.
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
    simulation.calls.append(Call(time.time(), provider, endpoint, response.status_code))
    if response.status_code not in _UNBILLED:
        faults.compute_units += units
    return response
