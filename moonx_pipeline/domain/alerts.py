"""Alerts: events that an operator should know about, with what to do."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal
from uuid import UUID, uuid5

from moonx_pipeline.domain.event_types import SYSTEM_ALERT
from moonx_pipeline.domain.events import Event, rfc3339

Severity = Literal["info", "warning", "critical"]

_NAMESPACE: Final = UUID("0a8e0c38-0c6c-4f6e-9f0c-7a3c1f0d2b11")


def system_alert(
    alert_type: str, *, service: str, occurrence: str, message: str, severity: Severity, at: datetime
) -> Event:
    """Makes an alert; the same occurrence always gives the same event.

    Args:
        alert_type: One of the published types.
        service: Its subject: a circuit breaker's key, a worker's id, or a part of the system.
        occurrence: What distinguishes this occurrence from all others.
        message: What happened and what to do.
        severity: How urgent.
        at: When it happened.
    """
    event_id = uuid5(_NAMESPACE, f"{service}:{alert_type}:{occurrence}")
    payload = {
        "eventId": str(event_id),
        "eventType": SYSTEM_ALERT.name,
        "userId": None,
        "walletAddress": None,
        "version": 0,
        "timestamp": rfc3339(at),
        "data": {"alertType": alert_type, "message": message, "severity": severity, "service": service},
    }
    return Event(event_id, SYSTEM_ALERT.topic, service, SYSTEM_ALERT.name, 0, payload)
