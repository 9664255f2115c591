from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonx_pipeline.domain.events import (
    Event,
    FailedChain,
    SyncRef,
    rfc3339,
    sync_completed,
    sync_failed,
    sync_started,
)
from moonx_pipeline.domain.valuation import Totals, totals_of
from moonx_pipeline_tests.support.examples import FACTS, LATER, NOON, WALLET, envelope, updated, without_floats

OTHER_FACTS = replace(FACTS, operation_id=UUID(int=2))
NOTHING = totals_of([], [])


def completed(facts: SyncRef = FACTS, totals: Totals = NOTHING, failed: tuple[FailedChain, ...] = ()) -> Event:
    return sync_completed(
        facts, version=7, at=LATER, duration_ms=1500, totals=totals, tokens=3, chains_synced=5, failed=failed
    )


def failure(facts: SyncRef = FACTS, retry_at: datetime | None = None) -> Event:
    return sync_failed(
        facts, version=7, at=LATER, duration_ms=1500, code="no_chain_answered", message="None did.", retry_at=retry_at
    )


def all_events(facts: SyncRef = FACTS) -> list[Event]:
    return [sync_started(facts, version=7, chains=[1, 137]), completed(facts), failure(facts), updated((), facts)]


WHO = {"syncOperationId": str(UUID(int=1)), "userId": "user-1", "walletAddress": WALLET}


def test_a_sync_that_started_tells_who_and_which_chains() -> None:
    event = sync_started(FACTS, version=7, chains=[1, 137])
    data = {**WHO, "syncType": "manual", "chains": [1, 137], "startedAt": "2026-03-02T12:00:00.000Z"}
    assert event.payload == envelope(event, "sync.started", "2026-03-02T12:00:00.000Z", data)


@pytest.mark.parametrize(
    ("trigger", "kind"),
    [
        ("manual", "manual"),
        ("backfill", "automatic"),
        ("schedule", "scheduled"),
        ("webhook", "automatic"),
        ("login", "automatic"),
        ("wallets", "automatic"),
    ],
)
def test_each_trigger_has_the_sync_type_that_consumers_know(trigger: str, kind: str) -> None:
    event = sync_started(replace(FACTS, trigger=trigger), version=1, chains=[])
    assert event.payload["data"]["syncType"] == kind


def test_a_completed_sync_tells_its_figures() -> None:
    event = completed()
    data = {
        **WHO,
        "processingTime": 1500,
        "tokensSync": 3,
        "chainsSync": 5,
        "totalValueUsd": Decimal(0),
        "success": True,
        "complete": True,
        "failedChains": [],
        "completedAt": "2026-03-02T12:00:01.500Z",
    }
    assert event.payload == envelope(event, "sync.completed", "2026-03-02T12:00:01.500Z", data)


def test_a_completed_sync_tells_which_chains_are_missing_and_since_when() -> None:
    failed = (FailedChain(137, "It timed out.", NOON), FailedChain(10, "Its breaker is open.", None))
    data = completed(failed=failed).payload["data"]
    assert (data["success"], data["complete"]) == (True, False)
    assert data["failedChains"] == [
        {"chainId": 137, "reason": "It timed out.", "staleSince": "2026-03-02T12:00:00.000Z"},
        {"chainId": 10, "reason": "Its breaker is open.", "staleSince": None},
    ]


def test_a_sync_of_all_chains_is_not_complete_while_something_of_them_is_unread() -> None:
    data = completed(totals=replace(NOTHING, unread=1)).payload["data"]
    assert (data["success"], data["complete"], data["failedChains"]) == (True, False, [])


@pytest.mark.parametrize(("retry_at", "text"), [(None, None), (NOON, "2026-03-02T12:00:00.000Z")])
def test_a_failed_sync_tells_why_and_when_it_may_be_tried_again(retry_at: datetime | None, text: str | None) -> None:
    event = failure(retry_at=retry_at)
    data = {
        **WHO,
        "error": {"code": "no_chain_answered", "message": "None did.", "retryAt": text},
        "processingTime": 1500,
        "retryCount": 2,
        "failedAt": "2026-03-02T12:00:01.500Z",
    }
    assert event.payload == envelope(event, "sync.failed", "2026-03-02T12:00:01.500Z", data)


def test_a_large_total_is_written_out() -> None:
    totals = replace(NOTHING, value_usd=Decimal("1.20E+30"))
    text = msgspec.json.Encoder(decimal_format="number").encode(completed(totals=totals).payload).decode()
    assert f'"totalValueUsd":12{"0" * 29},' in text


def test_no_event_of_a_sync_holds_a_float() -> None:
    assert without_floats(all_events())


def test_an_event_has_one_id_for_each_operation_and_type() -> None:
    ids = [event.id for facts in (FACTS, OTHER_FACTS) for event in all_events(facts)]
    assert len(set(ids)) == len(ids) == 8
    assert all(event.payload["eventId"] == str(event.id) for event in all_events())


def test_a_retry_of_the_same_operation_writes_the_same_id() -> None:
    again = replace(FACTS, trigger="schedule", started_at=LATER, retry_count=3, user_id="user-2")
    assert [event.id for event in all_events(again)] == [event.id for event in all_events()]
    assert updated((), version=8).id == updated((), version=7).id


def test_an_id_never_changes_between_releases() -> None:
    """Consumers have stored them."""
    assert str(completed().id) == "d4318f4c-a81e-51d7-bb07-4c53cabd0e29"


def test_events_go_to_their_topic_with_the_user_as_the_key() -> None:
    assert [(e.topic, e.key, e.type, e.version) for e in all_events()] == [
        ("sync.events", "user-1", "sync.started", 7),
        ("sync.events", "user-1", "sync.completed", 7),
        ("sync.events", "user-1", "sync.failed", 7),
        ("portfolio.updates", "user-1", "portfolio.updated", 7),
    ]


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=8))])
@given(micros=st.integers(0, 10**17))
def test_times_are_in_utc_to_the_millisecond(zone: timezone, micros: int) -> None:
    moment = datetime(1980, 1, 1, tzinfo=zone) + timedelta(microseconds=micros)
    text = rfc3339(moment)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    assert timedelta(0) <= moment - datetime.fromisoformat(text) < timedelta(milliseconds=1)
