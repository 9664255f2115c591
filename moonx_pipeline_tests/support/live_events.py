"""What the tests of the live connection do: tell events, as syncs do."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine

from moonx_pipeline.domain.alerts import system_alert
from moonx_pipeline.domain.events import Event, SyncRef, portfolio_updated, sync_completed, sync_failed, sync_started
from moonx_pipeline.domain.valuation import Totals
from moonx_pipeline.storage.syncs.outbox import insert_events

Tell = Callable[..., None]

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
TOTALS = Totals(
    value_usd=Decimal("12345678901234567.123456789"),
    counted=1,
    unpriced=0,
    spam=0,
    flagged=0,
    low_liquidity=0,
    unread=0,
    stale_chains=(),
)


def _facts(user_id: str) -> SyncRef:
    return SyncRef(uuid.uuid4(), user_id, "0x" + "a" * 40, "manual", AT)


def started(user_id: str, version: int) -> Event:
    return sync_started(_facts(user_id), version=version, chains=[1, 137])


def completed(user_id: str, version: int) -> Event:
    return sync_completed(
        _facts(user_id), version=version, at=AT, duration_ms=5, totals=TOTALS, tokens=1, chains_synced=5, failed=[]
    )


def failed(user_id: str, version: int) -> Event:
    return sync_failed(
        _facts(user_id),
        version=version,
        at=AT,
        duration_ms=5,
        code="no_chain_read",
        message="No chain answered.",
        retry_at=None,
    )


def updated(user_id: str, version: int, *, filler: str = "") -> Event:
    event = portfolio_updated(_facts(user_id), version=version, at=AT, duration_ms=5, positions=[], totals=TOTALS)
    if filler:
        event.payload["data"]["filler"] = filler
    return event


def alert(service: str, message: str) -> Event:
    return system_alert(
        "circuit_breaker_open", service=service, occurrence=str(uuid.uuid4()), message=message, severity="info", at=AT
    )


def tell(engine: Engine, *events: Event) -> None:
    """Commits events, each in a transaction of its own."""
    for event in events:
        with engine.begin() as connection:
            insert_events(connection, [event])


def emitted(event: Event) -> dict[str, Any]:
    """What a socket is told of an event, as JavaScript reads its numbers."""
    data = {**event.payload["data"], "version": event.version, "eventId": str(event.id)}
    return {name: float(value) if isinstance(value, Decimal) else value for name, value in data.items()}
