"""Operations that are packed are the same to all who look them up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from moonx_pipeline.clock import utc_now
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import PLAIN_WALLET, POLYGON_WALLET
from moonx_pipeline.storage.monitoring.statistics import days_of_syncs
from moonx_pipeline.storage.portfolios.series import read_series
from moonx_pipeline.storage.syncs.evidence_log import read_explanation
from moonx_pipeline.storage.syncs.operation_reads import is_own, list_operations, read_operation
from moonx_pipeline.storage.upkeep.pack_operations import pack_operations
from moonx_pipeline.storage.upkeep.retention import prune_operations
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline_tests.support.sql import execute, rows
from moonx_pipeline_tests.support.sweeps import make_due, sweep
from moonx_pipeline_tests.support.syncs import age_prices, register, sync, violations

NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def pack(engine: Engine, before: datetime) -> int:
    return sum(pack_operations(engine, before))


def plain_ids(engine: Engine) -> set[UUID]:
    return {row[0] for row in rows(engine, "SELECT id FROM sync_operations")}


def store(engine: Engine, user_id: str = "ann", **changes: Any) -> UUID:
    """An operation of a sweep that took two seconds; of a user who is known."""
    row = {
        "id": uuid4(), "user_id": user_id, "type": "sweep", "status": "completed", "trigger": "schedule", "fence": 1,
        "started_at": NOON, "duration_ms": 2000, "total_value_usd": 5, **changes,
    }  # fmt: skip
    row.setdefault("completed_at", row["started_at"] + timedelta(seconds=2))
    names = ", ".join(row)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO user_sync_status (user_id) VALUES (%s) ON CONFLICT DO NOTHING", (user_id,)
        )
        connection.exec_driver_sql(
            f"INSERT INTO sync_operations ({names}) VALUES ({', '.join(['%s'] * len(row))})",
            tuple(row.values()),
        )
    return row["id"]


def test_what_is_asked_of_packed_syncs_has_the_same_answers(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", POLYGON_WALLET)
    register(engine, "bob", PLAIN_WALLET)
    sync(runtime, "ann", at=utc_now() - 4 * DAY)
    for number in range(6):
        if number == 4:
            simulator.fault("outage", network="polygon-mainnet")
        simulator.simulation.world.tick(number)
        age_prices(engine, timedelta(hours=1))
        at = utc_now().replace(hour=3) - 3 * DAY + timedelta(hours=5 * number)
        make_due(engine, at)
        sweep(runtime, at=at)
    ids = plain_ids(engine)

    def answers() -> list[Any]:
        with engine.connect() as connection:
            return [
                [list_operations(connection, user, limit=limit, status=status, days=90)
                 for user in ("ann", "bob") for limit in (1, 3, 100) for status in (None, "partial", "completed")],
                [list_operations(connection, "ann", limit=2, status=None, days=90, before=row)
                 for row in list_operations(connection, "ann", limit=100, status=None, days=90)],
                [read_operation(connection, user, one) for user in ("ann", "bob") for one in sorted(ids)],
                [is_own(connection, "ann", one) for one in sorted(ids)],
                [read_explanation(connection, "ann", one) for one in sorted(ids)],
                days_of_syncs(connection, 30),
                connection.exec_driver_sql("SELECT * FROM sync_statistics_daily ORDER BY 1").all(),
                [read_series(connection, user, days=days, now=utc_now().replace(hour=23, minute=0, second=0))
                 for user in ("ann", "bob") for days in (1, 7, 30)],
            ]  # fmt: skip

    before = answers()
    assert pack(engine, utc_now() + 2 * DAY) >= 8

    assert answers() == before
    assert violations(engine) == []
    assert pack(engine, utc_now() + 2 * DAY) == 0


def test_syncs_that_somebody_may_ask_for_or_that_have_no_day_stay(engine: Engine) -> None:
    midnight = NOON.replace(hour=0)
    packed = [store(engine, status=status) for status in ("completed", "partial", "failed")]
    last = store(engine)
    execute(engine, "UPDATE user_sync_status SET last_sync_operation_id = %s", (last,))  # type: ignore[arg-type]
    served = store(engine)
    execute(
        engine,
        "INSERT INTO sync_requests (user_id, status, sync_operation_id, completed_at) "
        "VALUES ('ann', 'done', %s, now())",
        (served,),  # type: ignore[arg-type]
    )
    stay = {
        last,
        served,
        store(engine, request_id=uuid4()),
        store(engine, type="portfolio", trigger="manual"),
        store(engine, status="cancelled"),
        store(engine, status="running", completed_at=None, duration_ms=None),
        store(engine, started_at=midnight - timedelta(seconds=1)),
        store(engine, started_at=NOON + DAY),
    }

    assert pack(engine, NOON + DAY) == len(packed)
    assert plain_ids(engine) == stay
    with engine.connect() as connection:
        assert all(read_operation(connection, "ann", one) for one in [*packed, *stay])
        assert read_operation(connection, "bob", packed[0]) is None


def test_packed_syncs_go_when_their_day_is_old(engine: Engine) -> None:
    for days in range(3):
        store(engine, started_at=NOON + days * DAY)
    pack(engine, NOON + 5 * DAY)

    assert sum(prune_operations(engine, NOON + DAY)) == 1
    assert rows(engine, "SELECT day FROM operation_packs ORDER BY 1") == [
        ((NOON + DAY).date(),),
        ((NOON + 2 * DAY).date(),),
    ]


def test_more_days_than_a_transaction_takes_are_packed_at_once(engine: Engine) -> None:
    store(engine)
    execute(
        engine,
        "INSERT INTO sync_operations (id, user_id, type, status, trigger, fence, started_at, completed_at) "
        "SELECT gen_random_uuid(), 'ann', 'sweep', 'completed', 'schedule', n, at, at "
        "FROM generate_series(2, 1500) n, LATERAL (SELECT %s + n * interval '5 minutes' AS at) t",
        (NOON,),
    )

    assert pack(engine, NOON + 30 * DAY) == 1500
    with engine.connect() as connection:
        listed = list_operations(connection, "ann", limit=2000, status=None, days=36500)
    assert len({row.operation_id for row in listed}) == 1500
    assert [row.started_at for row in listed] == sorted((row.started_at for row in listed), reverse=True)


_PAST = st.lists(
    st.tuples(
        st.integers(1, 20_000),  # minutes since the one before
        st.sampled_from(["completed", "partial", "failed"]),
        st.booleans(),  # whether it found the one before unchanged until it began
        st.sampled_from(["sweep", "sweep", "portfolio"]),
    ),
    max_size=25,
)


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(past=_PAST, days=st.sampled_from([1, 7, 30, 90]), cut=st.integers(0, 100))
def test_a_chart_is_the_same_once_syncs_are_packed(engine: Engine, past: list, days: int, cut: int) -> None:
    execute(engine, "TRUNCATE sync_operations, operation_packs, user_sync_status CASCADE")
    at = NOON
    for number, (minutes, status, stood, kind) in enumerate(past):
        at -= timedelta(minutes=minutes)
        store(
            engine, type=kind, status=status, started_at=at, fence=1000 - number,
            total_value_usd=None if status == "failed" else number,
            previous_sync_at=at - timedelta(minutes=1) if stood else None,
        )  # fmt: skip

    def chart() -> Any:
        with engine.connect() as connection:
            return read_series(connection, "ann", days=days, now=NOON)

    as_it_was = chart()
    pack(engine, NOON - cut * DAY)

    assert chart() == as_it_was
