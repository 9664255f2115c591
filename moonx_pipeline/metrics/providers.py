"""Metrics of provider calls, counted by the process that makes them."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from prometheus_client import Counter, Histogram

from moonx_pipeline.domain.chains import CHAIN_BY_ID

_NO_CHAIN: Final = "none"
"""The chain label of a call about several chains or none."""

_requests = Counter(
    "provider_requests_total",
    "Tries of calls to providers, by how they ended.",
    ("provider", "chain", "outcome"),
)
_duration = Histogram(
    "provider_request_duration_seconds",
    "From sending a try to the last byte of its answer, or its failure.",
    ("provider",),
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
_compute_units = Counter(
    "provider_compute_units_total", "What the calls cost by the provider's price list.", ("provider",)
)


def count_call(provider: str, chain_id: int | None, outcome: str, *, seconds: float, compute_units: int) -> None:
    """Counts one try of a call.

    Args:
        provider: Its name, such as ``alchemy``.
        chain_id: The chain asked about; ``None`` for several or none.
        outcome: ``ok``, or the class name of the error.
        seconds: How long it took.
        compute_units: What it cost.
    """
    requests, duration, units = _of(provider, chain_id, outcome)
    requests.inc()
    duration.observe(seconds)
    if compute_units:
        units.inc(compute_units)


@cache
def _of(provider: str, chain_id: int | None, outcome: str) -> tuple[Counter, Histogram, Counter]:
    """A call's three metrics, cached: there are few kinds of calls, and the lookup costs more than counting."""
    chain = _NO_CHAIN if chain_id is None else CHAIN_BY_ID[chain_id].slug
    word = re.sub(r"(?<!^)(?=[A-Z])", "_", outcome).lower()
    return _requests.labels(provider, chain, word), _duration.labels(provider), _compute_units.labels(provider)
