"""Circuit breaker state for one sync: loaded once when it opens, reported once when it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import timedelta
from typing import Final, NamedTuple, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine

from moonx_pipeline.domain.events import Event, rfc3339
from moonx_pipeline.metrics.protection import count_opened
from moonx_pipeline.providers.error_table import effect_of
from moonx_pipeline.providers.errors import ProviderError
from moonx_pipeline.storage.connection.retries import Database
from moonx_pipeline.storage.protection import breaker_rows as store
from moonx_pipeline.storage.protection.breaker_rows import FAILURE, NONE, OK, BreakerState, Report
from moonx_pipeline.storage.syncs.outbox import insert_events
from moonx_pipeline.sync.protection.alerts import breaker_alerts

P = ParamSpec("P")
T = TypeVar("T")


def user_key(user_id: str) -> str:
    """The breaker of a user whose syncs fail because of their own data, such as data that can't be stored."""
    return f"user:{user_id}"


class BreakerRules(NamedTuple):
    """When breakers open, and for how long.

    Attributes:
        enabled: Whether breakers are used at all.
        threshold: Failures in a row that open one.
        open_for: How long a breaker stays open.
        lease: How long a probe may take.
    """

    enabled: bool
    threshold: int
    open_for: timedelta
    lease: timedelta


class BreakerOpen(ProviderError):
    """The provider was not called, since its breaker is open."""

    kind = "breaker_open"


class _CallOutcome(NamedTuple):
    outcome: str
    error: str | None = None
    open_for: timedelta | None = None


class Breakers:
    """The breakers of one sync or batch. Shared by its threads."""

    def __init__(self, rules: BreakerRules, states: Mapping[str, BreakerState]) -> None:
        self.rules = rules
        self._standings = states
        self._found: dict[str, _CallOutcome] = {}
        self._lock = threading.Lock()

    def joined(self, other: Breakers) -> Breakers:
        """These breakers and others; call it before anything is recorded on either."""
        return Breakers(self.rules, {**self._standings, **other._standings})

    def state_of(self, key: str) -> BreakerState:
        return self._standings.get(key) or store.closed(key)

    @property
    def not_closed(self) -> list[BreakerState]:
        """The breakers that were open or half-open when loaded."""
        return [standing for standing in self._standings.values() if standing.state != "closed"]

    def is_open(self, key: str) -> bool:
        """Whether calls are refused."""
        return not self.state_of(key).admitted

    def refusal(self, key: str) -> BreakerOpen:
        """Why calls are refused, and when they will be allowed again."""
        standing = self.state_of(key)
        since = f" since {rfc3339(standing.opened_at)}" if standing.opened_at else ""
        until = f" until {rfc3339(standing.retry_at)}" if standing.retry_at else ""
        return BreakerOpen(
            f"The circuit breaker '{key}' is open{since}{until}: {standing.last_error or 'it was opened by hand'}",
            provider=key.partition(":")[0],
            retry_at=standing.retry_at,
        )

    def call(self, key: str, ask: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls a provider and records the result.

        Raises:
            BreakerOpen: No call was made.
            ProviderError: The call failed.
        """
        if self.is_open(key):
            raise self.refusal(key)
        try:
            answer = ask(*args, **kwargs)
        except ProviderError as error:
            self.record_error(key, error)
            raise
        self.record_success(key)
        return answer

    def record_success(self, key: str) -> None:
        """Records a success; it outweighs the sync's failures, since the provider is reachable."""
        with self._lock:
            self._found[key] = _CallOutcome(OK)

    def record_error(self, key: str, error: ProviderError) -> None:
        """Records an error with its effect from ``EFFECTS``, once per sync."""
        if not isinstance(error, BreakerOpen):
            effect = effect_of(error)
            self.record_failure(key, str(error), outcome=effect.breaker, open_for=effect.open_for)

    def record_failure(
        self, key: str, error: str, *, outcome: str = FAILURE, open_for: timedelta | None = None
    ) -> None:
        """Records a failure that is no call's error."""
        if outcome == NONE:
            return
        with self._lock:
            before = self._found.get(key)
            if before is None or before.outcome == FAILURE:
                self._found[key] = _CallOutcome(outcome, error, open_for or self.rules.open_for)

    def reports(self) -> list[Report]:
        """The results to report; none if all is well, so that a sync without trouble costs no round trip."""
        if not self.rules.enabled:
            return []
        reports = []
        for key in {*self._standings, *self._found}:
            standing, found = self.state_of(key), self._found.get(key, _CallOutcome(NONE))
            is_probe = standing.admitted and standing.state == "half_open"
            if is_probe or found.outcome not in (OK, NONE) or (found.outcome == OK and standing.failure_count):
                reports.append(Report(key, standing.epoch, *found))
        return sorted(reports)


_SECONDS: Final = 20.0
"""Seconds to retry the database if no sync's own time bounds it."""


def load_breakers(db: Database, rules: BreakerRules, keys: Iterable[str], *, deadline: float | None = None) -> Breakers:
    """Loads breakers in one round trip; if one is half-open, the caller may become its probe.

    Args:
        db: The pipeline's database.
        rules: When breakers open.
        keys: Keys of the breakers.
        deadline: ``time.monotonic()`` after which the database is not tried again.
    """
    if not rules.enabled:
        return Breakers(rules, {})
    return Breakers(rules, db.read(deadline or _soon(), store.admit, list(keys), rules.lease))


def report_breakers(db: Database, breakers: Breakers) -> list[Event]:
    """Reports syncs' results to the shared breakers; returns the alert of each that opened or closed."""
    reports = breakers.reports()
    if not reports:
        return []
    transitions, alerts = db.transaction(_soon(), _report, reports, breakers.rules.threshold)
    for transition in transitions:
        if transition.state == "open":
            count_opened(transition.key)
    return alerts


def _report(
    connection: Connection, reports: list[Report], threshold: int
) -> tuple[list[store.Transition], list[Event]]:
    transitions = store.report(connection, reports, threshold)
    alerts = breaker_alerts(transitions)
    insert_events(connection, alerts)
    return transitions, alerts


def _soon() -> float:
    return time.monotonic() + _SECONDS


def reset(engine: Engine, keys: Collection[str]) -> list[str]:
    """Closes breakers by hand and writes their alerts; returns the keys of those that were not closed before."""
    with engine.begin() as connection:
        closed = store.close(connection, keys)
        insert_events(connection, breaker_alerts(closed))
    return [transition.key for transition in closed]
