"""Looking at a portfolio: what it asks for, how often, and what it never does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import jsonschema
import pytest
from sqlalchemy import Engine, event

from moonx_pipeline.events.schema import event_schemas
from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import PLAIN_WALLET
from moonx_pipeline.sync.cancel import cancel_request
from moonx_pipeline.sync.requests.ask import ask_for_sync
from moonx_pipeline.sync.requests.on_view import refresh_on_view
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline_tests.support.rows import begin
from moonx_pipeline_tests.support.syncs import events, register, status, sync, violations

SETTINGS = Settings.from_environment({"WORKER_RETRY_DELAY": "1"})


def view(engine: Engine, user_id: str = "ann"):
    return refresh_on_view(engine, SETTINGS, user_id)


def requests(engine: Engine, user_id: str = "ann"):
    with engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT id, source, priority, status FROM sync_requests WHERE user_id = %s ORDER BY created_at", (user_id,)
        )
        return found.all()


def activities(engine: Engine, user_id: str = "ann") -> list[str]:
    return [e["data"]["activityType"] for e in events(engine, user_id) if e["eventType"] == "user.activity"]


def let_pass(engine: Engine, minutes: int) -> None:
    """As if all that happened had happened so much earlier."""
    columns = {
        "user_sync_status": ("last_sync_at", "last_viewed_at", "last_active_at"),
        "sync_operations": ("started_at", "completed_at"),
        "sync_requests": ("created_at",),
        "circuit_breakers": ("retry_at",),
    }
    with engine.begin() as connection:
        for table, names in columns.items():
            moved = ", ".join(f"{name} = {name} - interval '{minutes} minutes'" for name in names)
            connection.exec_driver_sql(f"UPDATE {table} SET {moved}")


def run(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)


def test_the_first_look_asks_at_high_priority_and_takes_no_permit(engine: Engine) -> None:
    register(engine, "ann", PLAIN_WALLET)

    asked = view(engine)

    ((request, source, priority, state),) = requests(engine)
    assert (asked.request_id, asked.is_new, asked.remaining) == (request, True, None)
    assert (source, priority, state) == ("login", "high", "pending")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM rate_limits").scalar_one() == 0


def test_an_old_portfolio_is_asked_for_at_medium_priority_and_a_fresh_one_not(engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime)

    assert view(engine) is None
    let_pass(engine, 6)
    assert view(engine).is_new

    assert [row.priority for row in requests(engine)] == ["medium"]
    assert violations(engine) == []


def test_a_user_whom_another_system_registered_is_asked_for_too(engine: Engine) -> None:
    run(engine, f"INSERT INTO user_wallets VALUES ('zoe', '{PLAIN_WALLET}')")

    assert view(engine, "zoe").is_new
    assert status(engine, "zoe").last_active_at is not None


def test_looking_is_activity_told_at_most_once_in_five_minutes(engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime, trigger="schedule")
    let_pass(engine, 4)

    view(engine)
    view(engine)

    assert activities(engine) == ["portfolio_viewed"]
    told = next(e for e in events(engine) if e["eventType"] == "user.activity")
    jsonschema.validate(told, event_schemas()["user.activity"], cls=jsonschema.Draft202012Validator)
    assert (told["walletAddress"], told["version"]) == (PLAIN_WALLET, 1)
    first = status(engine)
    assert first.last_active_at == first.last_viewed_at
    let_pass(engine, 6)
    view(engine)
    assert activities(engine) == ["portfolio_viewed", "portfolio_viewed", "sync_triggered"]
    assert status(engine).last_active_at >= first.last_active_at


def test_activity_makes_one_due_who_rests(engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime)
    run(engine, "UPDATE user_sync_status SET next_sync_at = NULL")

    view(engine)

    assert status(engine).next_sync_at is not None


def waits(engine: Engine) -> None:
    """A request of half an hour ago, which nobody serves."""
    ask_for_sync(engine, SETTINGS, "ann", source="backfill", priority="low", limited=False)
    let_pass(engine, 30)


def runs(engine: Engine) -> None:
    begin(engine, "ann")
    let_pass(engine, 30)


def tried_and_failed(engine: Engine) -> None:
    """A sync that began four minutes ago, and came to nothing."""
    begin(engine, "ann")
    run(
        engine,
        "UPDATE sync_operations SET status = 'failed', started_at = now() - interval '4 minutes', completed_at = now()",
    )


def was_asked_for_and_cancelled(engine: Engine) -> None:
    asked = ask_for_sync(engine, SETTINGS, "ann", source="api", priority="high", limited=True)
    assert cancel_request(engine, asked.request_id, "Not now.")
    let_pass(engine, 4)


def is_disabled(engine: Engine) -> None:
    run(engine, "UPDATE user_sync_status SET is_sync_enabled = false")


def has_an_open_breaker(engine: Engine) -> None:
    run(
        engine,
        "INSERT INTO circuit_breakers (key, state, opened_at, retry_at, cause) "
        "VALUES ('user:ann', 'open', now(), now() + interval '1 hour', 'failures')",
    )


@pytest.mark.parametrize(
    "before", [waits, runs, tried_and_failed, was_asked_for_and_cancelled, is_disabled, has_an_open_breaker]
)
@pytest.mark.parametrize("ever_read", [False, True])
def test_nothing_is_asked_for(engine: Engine, runtime: Runtime, before, ever_read: bool) -> None:
    register(engine, "ann", PLAIN_WALLET)
    if ever_read:
        sync(runtime)
        let_pass(engine, 60)
    before(engine)
    there = requests(engine)

    assert view(engine) is None
    assert view(engine) is None

    assert requests(engine) == there
    assert activities(engine).count("portfolio_viewed") == 1


@pytest.mark.parametrize("before", [tried_and_failed, was_asked_for_and_cancelled, has_an_open_breaker])
def test_what_was_in_the_way_is_over_after_a_while(engine: Engine, before) -> None:
    register(engine, "ann", PLAIN_WALLET)
    before(engine)
    let_pass(engine, 61)

    assert view(engine).is_new


def test_a_portfolio_that_fails_is_asked_for_again_only_after_five_minutes(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    simulator.fault("outage")
    asked = view(engine)
    assert sync(runtime, trigger="login", request_id=asked.request_id).status == "failed"

    assert view(engine) is None
    let_pass(engine, 6)
    assert view(engine).is_new

    assert [row.priority for row in requests(engine)] == ["high", "high"]


def test_who_has_no_wallets_causes_nothing(engine: Engine) -> None:
    assert view(engine, "nobody") is None

    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM user_sync_status").scalar_one() == 0


def test_a_look_with_nothing_to_do_is_one_query_and_writes_nothing(engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime)
    view(engine)
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *told: statements.append(told[2]))

    view(engine)

    (only,) = statements
    assert only.lstrip().startswith("SELECT")


@pytest.mark.parametrize("ever_read", [False, True])
def test_many_who_look_at_once_make_one_request_and_are_told_of_once(
    engine: Engine, runtime: Runtime, ever_read: bool
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    if ever_read:
        sync(runtime)
        let_pass(engine, 10)
    start = Barrier(10)

    def look(number: int):
        start.wait()
        found = [view(engine) for _ in range(3)]
        if number == 0:
            # The request is served while others still look.
            (request,) = requests(engine)
            sync(runtime, trigger="login", request_id=request.id)
        return found + [view(engine) for _ in range(3)]

    with ThreadPoolExecutor(10) as pool:
        answers = [asked for found in pool.map(look, range(10)) for asked in found if asked is not None]

    (only,) = requests(engine)
    assert [(asked.request_id, asked.is_new) for asked in answers] == [(only.id, True)]
    assert only.status == "done"
    assert activities(engine) == ["portfolio_viewed", "sync_triggered"]
    assert violations(engine) == []
