"""Alerts for operators about breakers and lost workers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from moonx_pipeline.clock import utc_now
from moonx_pipeline.domain.alerts import Severity, system_alert
from moonx_pipeline.domain.events import Event, rfc3339
from moonx_pipeline.storage.protection.breaker_rows import Transition

_OF_ACCOUNT: Final[dict[str, tuple[str, str]]] = {
    "key_rejected": (
        "provider_key_rejected",
        "Check its key in the settings, restart what uses it, and run 'moonx breaker reset {keys}'.",
    ),
    "quota_exhausted": ("provider_quota_exhausted", "Raise the plan at the provider, or wait for the next month."),
}


def breaker_alerts(transitions: Sequence[Transition]) -> list[Event]:
    """One alert for each breaker that opened or closed; one for all breakers that the same key or plan opened.

    A failed probe keeps a breaker open, which needs no new alert.
    """
    now = utc_now()
    alerts = []
    together: dict[tuple[str, str, str], list[Transition]] = {}
    for transition in transitions:
        if transition.state == "closed":
            cause = transition.was_cause if transition.was_cause in _OF_ACCOUNT else None
        elif transition.was == "closed" or transition.cause != transition.was_cause:
            cause = transition.cause if transition.cause in _OF_ACCOUNT else None
        else:
            continue
        provider = transition.key.partition(":")[0]
        group = (provider, transition.state, cause) if cause else (transition.key, transition.state, "")
        together.setdefault(group, []).append(transition)
    for (service, state, cause), group_of in together.items():
        alerts.append(_closed(service, group_of, now) if state == "closed" else _opened(service, cause, group_of, now))
    return alerts


def _opened(service: str, cause: str, transitions: Sequence[Transition], now: datetime) -> Event:
    first = transitions[0]
    keys = " ".join(transition.key for transition in transitions)
    until = f" until {rfc3339(first.retry_at)}" if first.retry_at else ""
    alert_type, advice = _OF_ACCOUNT.get(cause, ("circuit_breaker_open", ""))
    severity: Severity = "critical" if cause else "warning"
    counted = f" after {first.failure_count} failures in a row" if first.cause == "failures" else ""
    message = f"{_named(transitions)} opened{counted}, so it is not asked{until}: {first.last_error} "
    return system_alert(
        alert_type,
        service=service,
        occurrence=_occurrence(transitions),
        message=(message + advice.format(keys=keys)).strip(),
        severity=severity,
        at=now,
    )


def _closed(service: str, transitions: Sequence[Transition], now: datetime) -> Event:
    return system_alert(
        "circuit_breaker_closed",
        service=service,
        occurrence=_occurrence(transitions),
        message=f"{_named(transitions)} closed: it is asked again.",
        severity="info",
        at=now,
    )


def worker_lost_alert(worker_id: str, operations: Iterable[str], now: datetime) -> Event:
    """The alert about a worker that died during syncs."""
    ids = sorted(operations)
    shown = ", ".join(ids[:5]) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")
    return system_alert(
        "sync_worker_lost",
        service=worker_id,
        occurrence=ids[0],
        message=f"Worker {worker_id} died while it carried {len(ids)} syncs, which are closed as failed and due "
        f"again: {shown}. Its last log lines and the host's say why.",
        severity="warning",
        at=now,
    )


def _named(transitions: Sequence[Transition]) -> str:
    keys = ", ".join(f"'{transition.key}'" for transition in transitions)
    return f"The circuit breaker {keys}" if len(transitions) == 1 else f"The circuit breakers {keys}"


def _occurrence(transitions: Sequence[Transition]) -> str:
    return " ".join(f"{transition.key}@{transition.epoch}" for transition in transitions)
