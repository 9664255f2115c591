"""Asking for syncs: in any order, by many at once, and what the asker is told."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from threading import Barrier
from uuid import UUID

import jsonschema
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from moonx_pipeline.clock import utc_now
from moonx_pipeline.events.schema import event_schemas
from moonx_pipeline.simulator.world import PLAIN_WALLET
from moonx_pipeline.storage.requests.bulk import Selection
from moonx_pipeline.storage.requests.dispatches import dispatch_next
from moonx_pipeline.storage.requests.queue import requeue_requests
from moonx_pipeline.sync.requests.ask import SyncRequestResult, ask_for_many
from moonx_pipeline_tests.support.asking import SETTINGS, ask, rows
from moonx_pipeline_tests.support.syncs import event_types, events, register, status

LIMIT = 5
RANK = {"high": 1, "medium": 2, "low": 3}
_numbers = count(1)


def permits_taken(engine: Engine, user_id: str = "ann") -> int:
    with engine.connect() as connection:
        taken = connection.exec_driver_sql(
            "SELECT cardinality(taken_at) FROM rate_limits WHERE key = %s", (f"user:{user_id}:sync",)
        )
        return taken.scalar() or 0


def claim(engine: Engine, user_id: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE sync_requests SET status = 'claimed', claimed_at = now(), sync_operation_id = gen_random_uuid() "
            "WHERE user_id = %s AND status = 'pending'",
            (user_id,),
        )


def end(engine: Engine, user_id: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE sync_requests SET status = 'done', completed_at = now() WHERE user_id = %s AND status = 'claimed'",
            (user_id,),
        )


def lose(engine: Engine, user_id: str) -> None:
    lost = [row.sync_operation_id for row in rows(engine, user_id) if row.status == "claimed"]
    with engine.begin() as connection:
        requeue_requests(connection, lost, 3)


@dataclass
class Model:
    """One user, computed the plain way."""

    permits: int = 0
    answers: dict[str, SyncRequestResult] = field(default_factory=dict)
    given: set[UUID] = field(default_factory=set)


keys = st.sampled_from([None, None, "k1", "k2", "k3"])
steps = st.lists(
    st.tuples(
        st.sampled_from(["ask"] * 5 + ["bulk", "mark", "claim", "claim", "end", "lose"]),
        keys,
        st.sampled_from(["high", "medium", "low"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=25,
)


@hypothesis_settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
def test_one_request_waits_keys_repeat_and_permits_are_kept_in_any_order(engine: Engine, steps) -> None:
    user, model = f"user{next(_numbers)}", Model()
    register(engine, user, PLAIN_WALLET)
    for what, key, priority, limited in steps:
        before = rows(engine, user)
        waiting = next((row for row in before if row.status == "pending"), None)
        if what == "ask":
            answer = ask(engine, user, idempotency_key=key, priority=priority, limited=limited)
            if key in model.answers:
                first = model.answers[key]
                assert answer == first._replace(is_new=False)
                assert rows(engine, user) == before
            elif waiting:
                assert (answer.request_id, answer.is_new) == (waiting.id, False)
                assert answer.remaining == (LIMIT - model.permits if limited else None)
            elif limited and model.permits == LIMIT:
                assert (answer.request_id, answer.remaining, answer.refusal.code) == (None, 0, "rate_limited")
                assert rows(engine, user) == before
            else:
                model.permits += limited
                assert (answer.is_new, answer.remaining) == (True, LIMIT - model.permits if limited else None)
            if answer.request_id is not None:
                model.given.add(answer.request_id)
                if key is not None:
                    model.answers.setdefault(key, answer)
        elif what == "bulk":
            (one,) = ask_for_many(engine, SETTINGS, [user], priority=priority)
            model.given.add(one.request_id)
        elif what == "mark":
            with engine.begin() as connection:
                dispatch_next(connection, batch=1000, capacity=1000)
        else:
            {"claim": claim, "end": end, "lose": lose}[what](engine, user)

        now = rows(engine, user)
        pending = [row for row in now if row.status == "pending"]
        assert len(pending) <= 1
        if waiting and pending and waiting.id == pending[0].id:
            assert RANK[pending[0].priority] <= RANK[waiting.priority]
        assert permits_taken(engine, user) == model.permits <= LIMIT
        assert model.given <= {row.id for row in now}
        by_id = {row.id: row for row in now}
        for row in now:
            # None is lost: it waits, is served, was lost too often, or another one serves it.
            assert (row.status == "cancelled") == (row.served_by is not None)
            assert row.served_by is None or row.served_by in by_id
            assert row.status != "refused" or row.attempts == 3


def test_many_who_ask_for_one_user_at_once_make_one_request_and_take_one_permit(engine: Engine) -> None:
    users = [f"user{number}" for number in range(4)]
    for user in users:
        register(engine, user, PLAIN_WALLET)
    start = Barrier(12)

    def work(number: int) -> list[tuple[str, str | None, SyncRequestResult]]:
        chance = random.Random(number)  # noqa: S311 - no secret
        answers = []
        start.wait()
        for _ in range(25):
            user = chance.choice(users)
            kind = chance.random()
            if number < 2:
                ask_for_many(engine, SETTINGS, Selection.ALL)
            elif number == 2:
                with engine.begin() as connection:
                    dispatch_next(connection, batch=2, capacity=100)
            else:
                key = chance.choice(["k1", "k2", None])
                answers.append((user, key, ask(engine, user, idempotency_key=key, limited=kind < 0.8)))
        return answers

    with ThreadPoolExecutor(12) as pool:
        answers = [answer for found in pool.map(work, range(12)) for answer in found]

    for user in users:
        (only,) = rows(engine, user)
        mine = [(key, answer) for whose, key, answer in answers if whose == user]
        assert {answer.request_id for _, answer in mine} == {only.id}
        assert sum(answer.is_new for _, answer in mine) <= 1
        assert permits_taken(engine, user) == sum(a.is_new and a.remaining is not None for _, a in mine)
        for key in ("k1", "k2"):
            assert len({answer._replace(is_new=False) for asked, answer in mine if asked == key}) <= 1


def test_past_the_limit_nothing_is_asked_and_the_time_to_come_back_is_told(engine: Engine) -> None:
    register(engine, "ann", PLAIN_WALLET)
    for left in (4, 3, 2, 1, 0):
        asked = ask(engine)
        assert (asked.is_new, asked.remaining) == (True, left)
        claim(engine, "ann")
    told = len(events(engine))

    refused = ask(engine, idempotency_key="later")

    assert (refused.request_id, refused.remaining, refused.reset_at) == (None, 0, asked.reset_at)
    assert refused.refusal.reason == (
        "User 'ann' has asked for 5 syncs within 15 minutes, the most there are: "
        f"no other until {refused.reset_at:%H:%M:%S} UTC."
    )
    assert timedelta(minutes=14) < refused.reset_at - utc_now() <= timedelta(minutes=15)
    assert (len(rows(engine)), len(events(engine))) == (5, told)
    assert ask(engine, idempotency_key="later", limited=False, source="login").is_new


def test_permit_request_and_event_are_of_one_transaction(engine: Engine) -> None:
    register(engine, "ann", PLAIN_WALLET)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE outbox_events ADD CONSTRAINT hostile CHECK (type <> 'user.activity')")

    with pytest.raises(IntegrityError, match="hostile"):
        ask(engine, idempotency_key="k1")

    assert (rows(engine), permits_taken(engine)) == ([], 0)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE outbox_events DROP CONSTRAINT hostile")
    assert ask(engine, idempotency_key="k1").is_new


def test_a_persons_request_counts_as_activity_once_and_a_webhooks_does_not(engine: Engine) -> None:
    register(engine, "ann", PLAIN_WALLET)
    register(engine, "bob", PLAIN_WALLET)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE user_sync_status SET last_active_at = NULL")

    asked = ask(engine)
    ask(engine, idempotency_key="again")
    ask(engine, "bob", source="webhook", limited=False)

    assert status(engine).last_active_at is not None
    (told,) = events(engine)
    jsonschema.validate(told, event_schemas()["user.activity"], cls=jsonschema.Draft202012Validator)
    assert (told["data"]["activityType"], told["walletAddress"]) == ("manual_sync", PLAIN_WALLET)
    assert status(engine, "bob").last_active_at is None
    assert event_types(engine, "bob") == []
    claim(engine, "ann")
    assert ask(engine, source="login", limited=False).request_id != asked.request_id
    assert [event["data"]["activityType"] for event in events(engine)] == ["manual_sync", "sync_triggered"]


def test_a_user_whom_another_system_registered_is_synced_unattended_from_now_on(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO user_wallets VALUES ('zoe', %s)", (PLAIN_WALLET,))

    assert ask(engine, "zoe").is_new

    assert (status(engine, "zoe").is_sync_enabled, status(engine, "zoe").sync_status) == (True, "never")


def test_who_can_not_be_synced_is_told_why_and_nothing_is_asked(engine: Engine) -> None:
    register(engine, "ann", PLAIN_WALLET)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE user_sync_status SET is_sync_enabled = false")

    disabled, unknown = ask(engine, idempotency_key="k"), ask(engine, "nobody", idempotency_key="k")

    assert (disabled.request_id, disabled.refusal.code) == (None, "disabled")
    assert "Syncs of user 'ann' are disabled" in disabled.refusal.reason
    assert (unknown.request_id, unknown.refusal.code) == (None, "no_wallets")
    assert "moonx user add nobody ADDRESS" in unknown.refusal.reason
    assert (rows(engine), permits_taken(engine)) == ([], 0)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE user_sync_status SET is_sync_enabled = true")
    assert ask(engine, idempotency_key="k").is_new
