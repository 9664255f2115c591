"""Cancelling what is stored of a sync: nothing of it is stored any more, whatever still runs."""

import threading
import uuid
from uuid import UUID

import pytest
from sqlalchemy import Engine, event

from moonx_pipeline.clock import utc_now
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import PLAIN_WALLET
from moonx_pipeline.storage.connection.engine import open_engine
from moonx_pipeline.storage.requests.queue import add_request
from moonx_pipeline.sync.cancel import Cancellation, cancel_operation, cancel_request
from moonx_pipeline.sync.open import open_requested
from moonx_pipeline.sync.pipeline import SyncPipeline
from moonx_pipeline.sync.recovery import close_unfinished, process_worker
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline.sync.spec import SyncSpec
from moonx_pipeline_tests.support.syncs import event_types, events, held, operation, register, status, sync, violations
from moonx_pipeline_tests.support.workers import request_status

WHY = "The user cancelled it."


def asked(engine: Engine) -> UUID:
    with engine.begin() as connection:
        return add_request(connection, "ann", source="api", priority="high")


@pytest.fixture(autouse=True)
def ann(engine: Engine) -> None:
    register(engine, "ann", PLAIN_WALLET)


@pytest.mark.parametrize("named_by", ["operation", "request"])
def test_a_sync_under_way_ends_as_cancelled_with_its_request_and_its_event(
    engine: Engine, runtime: Runtime, named_by: str
) -> None:
    request_id, operation_id = asked(engine), uuid.uuid4()
    order = SyncSpec(operation_id, "ann", request_id=request_id, run_id=str(operation_id))
    open_requested(runtime, order, utc_now())

    done = cancel_operation(engine, operation_id if named_by == "operation" else request_id, WHY, utc_now())

    assert done == Cancellation("ann", operation_id, request_id, str(operation_id))
    ended = operation(engine)
    assert (ended.status, ended.error_code, ended.error_message) == ("cancelled", "cancelled", WHY)
    assert request_status(engine, str(request_id)) == "cancelled"
    assert event_types(engine) == ["sync.started", "sync.failed"]
    assert events(engine)[-1]["data"]["error"] == {"code": "cancelled", "message": WHY, "retryAt": None}
    assert (status(engine).sync_status, status(engine).consecutive_failures) == ("never", 0)
    assert violations(engine) == []
    # There is nothing left to cancel, and the next sync is not touched by it.
    assert cancel_operation(engine, operation_id, WHY, utc_now()) is None
    assert sync(runtime).status == "completed"
    assert violations(engine) == []


@pytest.mark.parametrize("moment", range(1, 14))
def test_cancelled_at_any_step_a_sync_is_stored_whole_or_not_at_all(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, moment: int
) -> None:
    operation_id = uuid.uuid4()
    seen = 0
    cancellations: list[Cancellation | None] = []
    elsewhere = open_engine(engine.url.render_as_string(hide_password=False))

    def cancel() -> None:
        cancellations.append(cancel_operation(elsewhere, operation_id, WHY, utc_now()))

    def look(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == moment:
            # While the sync goes on: it may hold the user's lock, or wait for it.
            cancelling.start()
            cancelling.join(0.2)

    cancelling = threading.Thread(target=cancel)
    event.listen(engine, "before_cursor_execute", look)
    outcome = SyncPipeline(runtime).run(SyncSpec(operation_id, "ann"))
    cancelling.join()
    elsewhere.dispose()

    ended = operation(engine)
    if cancellations == [None]:
        assert (outcome.status, ended.status) == ("completed", "completed")
    else:
        assert (outcome.status, ended.status) == ("cancelled", "cancelled")
        assert held(engine) == {}
        assert event_types(engine) == ["sync.started", "sync.failed"]
    assert violations(engine) == []


def test_a_request_that_waits_can_be_cancelled_and_one_that_was_taken_can_not(engine: Engine, runtime: Runtime) -> None:
    waiting = asked(engine)
    assert cancel_operation(engine, waiting, WHY, utc_now()) == Cancellation("ann", None, waiting, None)
    assert request_status(engine, str(waiting)) == "cancelled"
    assert event_types(engine) == []

    taken = asked(engine)
    open_requested(runtime, SyncSpec(uuid.uuid4(), "ann", request_id=taken), utc_now())
    assert not cancel_request(engine, taken, WHY)
    assert request_status(engine, str(taken)) == "claimed"
    assert cancel_operation(engine, uuid.uuid4(), WHY, utc_now()) is None
    assert violations(engine) == []


def test_what_a_broken_off_run_left_open_is_closed_by_its_living_process(engine: Engine, runtime: Runtime) -> None:
    request_id, operation_id = asked(engine), uuid.uuid4()
    open_requested(runtime, SyncSpec(operation_id, "ann", request_id=request_id), utc_now())
    worker_id = process_worker(runtime, utc_now())

    assert close_unfinished(runtime, "another", utc_now()) == []
    (closed,) = close_unfinished(runtime, worker_id, utc_now())

    assert closed.ref.operation_id == operation_id
    ended = operation(engine)
    assert (ended.status, ended.error_code) == ("failed", "interrupted")
    assert ended.error_message == "Its run was broken off during this sync. The user is due again."
    assert event_types(engine) == ["sync.started", "sync.failed"]
    assert request_status(engine, str(request_id)) == "pending"
    assert status(engine).next_sync_at <= utc_now()
    assert violations(engine) == []
    assert close_unfinished(runtime, worker_id, utc_now()) == []
