"""The runs that serve requests: told from each other, and one of them syncs."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from sqlalchemy import Engine

from moonx_pipeline.simulator.world import PLAIN_WALLET
from moonx_pipeline.storage.monitoring.invariants import check_invariants
from moonx_pipeline.storage.requests.dispatches import dispatch_next
from moonx_pipeline.sync.requests.ask import dispatch_tags, trigger_of
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline.sync.spec import SyncRefused
from moonx_pipeline_tests.support.asking import ask, rows
from moonx_pipeline_tests.support.syncs import register, sync


def test_the_run_of_a_request_is_tagged_with_what_asked_for_it(engine: Engine) -> None:
    register(engine, "ann", PLAIN_WALLET)
    asked = ask(engine, priority="high")
    with engine.begin() as connection:
        (launch,) = dispatch_next(connection, batch=5, capacity=5)

    assert dispatch_tags(launch) == {
        "dagster/partition": "ann",
        "moonx/user": "ann",
        "moonx/request": str(asked.request_id),
        "moonx/trigger": "manual",
        "moonx/priority": "high",
    }
    assert [trigger_of(source) for source in ("cli", "api", "wallets", "login", "webhook", "backfill", "other")] == [
        "manual", "manual", "wallets", "login", "webhook", "backfill", "manual",
    ]  # fmt: skip


def test_two_runs_of_one_request_at_once_sync_it_once(engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", PLAIN_WALLET)
    for _ in range(3):
        request = ask(engine).request_id
        start = Barrier(4)

        def run(_: int, request=request, start=start) -> str:
            start.wait()
            try:
                return sync(runtime, request_id=request, operation_id=uuid.uuid4()).status
            except SyncRefused as refusal:
                return refusal.code

        with ThreadPoolExecutor(4) as pool:
            ends = sorted(pool.map(run, range(4)))

        assert ends == ["completed", "request_taken", "request_taken", "request_taken"]
    assert [row.status for row in rows(engine)] == ["done"] * 3
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        assert check_invariants(connection) == []
