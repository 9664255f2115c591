"""What is told of a chain as its reading ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from moonx_pipeline.domain.portfolio import ChainBalances, ChainOutcome
from moonx_pipeline.simulator.world import PLAIN_WALLET
from moonx_pipeline.storage.connection.engine import open_engine
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.syncs.progress import ChainProgress, notify_progress
from moonx_pipeline.sync.balances.progress import chain_end, notify_chain_ends
from moonx_pipeline.sync.pipeline import SyncPipeline
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline.sync.spec import SyncSpec
from moonx_pipeline.sync.sweep import Sweep, SweepSpec
from moonx_pipeline_tests.support.listening import Listener
from moonx_pipeline_tests.support.syncs import register, sync

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
OK, FAILED, SKIPPED, KEPT = ChainOutcome.OK, ChainOutcome.FAILED, ChainOutcome.SKIPPED, ChainOutcome.KEPT


@pytest.fixture
def listener(engine: Engine):
    made = Listener(engine)
    yield made
    made.close()


def reading(outcome: ChainOutcome, reason: str | None = None, retry_at: datetime | None = None) -> ChainBalances:
    return ChainBalances("0x" + "ab" * 20, 1, outcome, reason=reason, retry_at=retry_at)


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ([reading(OK), reading(OK)], ChainProgress(1, "done", None, None)),
        ([reading(OK, "New tokens are not seen."), reading(KEPT)], ChainProgress(1, "done", None, None)),
        ([reading(OK), reading(SKIPPED, "Open.", NOON)], ChainProgress(1, "skipped", "Open.", NOON)),
        (
            [reading(SKIPPED, "Open.", NOON), reading(FAILED, "Down."), reading(OK)],
            ChainProgress(1, "failed", "Down.", None),
        ),
        (
            [reading(FAILED), reading(FAILED, "Late.", NOON + timedelta(1)), reading(FAILED, "Busy.", NOON)],
            ChainProgress(1, "failed", "Late.", NOON),
        ),
    ],
)
def test_a_chain_ends_as_the_worst_of_its_wallets(readings: list[ChainBalances], expected: ChainProgress) -> None:
    assert chain_end(1, readings) == expected


@hypothesis_settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    reason=st.one_of(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=2000),
        st.sampled_from(["\x01" * 9000, "😀" * 9000, '"' * 9000, "ä" * 500, "ä" * 501]),
    ),
    user=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=255),
)
def test_any_reason_arrives_cut_where_it_is_long(engine: Engine, listener: Listener, reason: str, user: str) -> None:
    with autocommit(engine) as connection:
        notify_progress(connection, user, UUID(int=7), [ChainProgress(137, "failed", reason, NOON)])

    (told,) = listener.heard()
    cut = told.pop("reason")
    assert cut == reason if len(reason) <= 500 else (cut[:-1], cut[-1], len(cut)) == (reason[:499], "…", 500)
    assert told == {
        "userId": user,
        "syncOperationId": str(UUID(int=7)),
        "chainId": 137,
        "state": "failed",
        "retryAt": "2026-03-02T12:00:00.000Z",
        "code": None,
    }


def test_each_chain_is_announced_once_by_a_sync_of_one_user_and_by_no_sweep(
    engine: Engine, runtime: Runtime, listener: Listener
) -> None:
    register(engine, "ann", PLAIN_WALLET)

    sync(runtime)

    heard = listener.heard()
    assert sorted(told["chainId"] for told in heard) == sorted(runtime.policy.chain_ids)
    assert {(told["state"], told["reason"], told["code"]) for told in heard} == {("done", None, None)}

    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE user_sync_status SET next_sync_at = now()")
    assert Sweep(runtime, SweepSpec(5)).run().users == 1
    assert listener.heard() == []


def test_an_announcement_is_left_out_while_the_database_is_away(engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", PLAIN_WALLET)
    opened = SyncPipeline(runtime).open(SyncSpec(uuid4(), "ann"))
    away = open_engine("postgresql+psycopg2://nobody@127.0.0.1:1/none")

    notify_chain_ends(away, opened, {1: [reading(OK)]})
