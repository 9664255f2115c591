"""Metrics of opened circuit breakers and exceeded limits, counted by the process that noticed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client import Counter

from moonx_pipeline.domain.chains import KNOWN_CHAINS, Chain
from moonx_pipeline.domain.providers import PROVIDERS

USERS: Final = "user"
"""The label for all keys of users, whose number has no bound."""


def breaker_labels(chains: Iterable[Chain]) -> tuple[str, ...]:
    """The metric labels of all breakers that can exist for these chains."""
    by_chain = [entry for entry in PROVIDERS.values() if entry.breaks_by_chain]
    shared = [key for entry in PROVIDERS.values() for key in entry.breakers]
    return (*(entry.breaker_of(chain.id) for chain in chains for entry in by_chain), *shared, USERS)


_opened = Counter("circuit_breaker_open_total", "How often circuit breakers opened, a failed probe included.", ("key",))
_exceeded = Counter(
    "rate_limit_exceeded_total", "What was refused since a limit was used up or its provider wants to rest.", ("limit",)
)
for _key in breaker_labels(KNOWN_CHAINS):
    _opened.labels(_key)
for _limit in (USERS, "api_user", "api_address", "api_webhook", "api_logo"):
    _exceeded.labels(_limit)


def bounded(key: str) -> str:
    """A breaker's or limit's key as a label: all users share one."""
    return USERS if key.startswith(f"{USERS}:") else key


def count_opened(key: str) -> None:
    """Counts a breaker that opened."""
    _opened.labels(bounded(key)).inc()


def count_exceeded(key: str) -> None:
    """Counts a refusal of a limit."""
    _exceeded.labels(bounded(key)).inc()
