"""Running the job in the caller's own process, which may be interrupted at any time."""

import gc
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from types import FrameType

import dagster as dg
import pytest
from sqlalchemy import Engine

from moonx_pipeline import launch
from moonx_pipeline.defs.executor import sync_executor
from moonx_pipeline.simulator.world import PLAIN_WALLET
from moonx_pipeline_tests.support.syncs import operation, register


@pytest.fixture(autouse=True)
def _handlers_stay() -> Iterator[None]:
    """Dagster gives SIGTERM what it finds for SIGINT, and leaves it so."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


def interrupted_at(
    event: dg.DagsterEventType, number: signal.Signals, handle: Callable[..., object]
) -> Callable[..., object]:
    """How an instance handles events, interrupted when it has handled one of this kind."""

    @wraps(handle)
    def handled(entry: dg.EventLogEntry, *arguments: object, **named: object) -> None:
        handle(entry, *arguments, **named)
        if entry.is_dagster_event and entry.get_dagster_event().event_type is event:
            signal.raise_signal(number)

    return handled


@pytest.mark.parametrize(
    ("event", "number", "ended"),
    [
        (dg.DagsterEventType.RUN_START, signal.SIGTERM, dg.DagsterRunStatus.FAILURE),
        (dg.DagsterEventType.STEP_START, signal.SIGINT, dg.DagsterRunStatus.FAILURE),
        (dg.DagsterEventType.RUN_SUCCESS, signal.SIGTERM, dg.DagsterRunStatus.SUCCESS),
        (dg.DagsterEventType.RUN_SUCCESS, signal.SIGINT, dg.DagsterRunStatus.SUCCESS),
    ],
)
@pytest.mark.usefixtures("environment")
def test_an_interrupt_is_raised_when_the_run_has_ended(
    engine: Engine,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    event: dg.DagsterEventType,
    number: signal.Signals,
    ended: dg.DagsterRunStatus,
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    with monkeypatch.context() as patch:
        patch.setattr(instance, "handle_new_event", interrupted_at(event, number, instance.handle_new_event))
        with pytest.raises(KeyboardInterrupt):
            launch.run_portfolio_sync(instance, "ann", log_level="CRITICAL")
    assert [run.status for run in instance.get_runs()] == [ended]

    with launch.run_portfolio_sync(instance, "ann", log_level="CRITICAL") as again:
        assert again.success
    assert operation(engine, "ann").status == "completed"


@contextmanager
def interrupted_in(function: Callable[..., object]) -> Iterator[None]:
    """Interrupts this thread as it enters a function."""

    def watch(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code is function.__code__:
            sys.setprofile(None)
            signal.raise_signal(signal.SIGINT)

    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(None)


@pytest.mark.usefixtures("environment")
def test_an_interrupt_before_there_is_a_run_is_raised_at_once(engine: Engine, instance: dg.DagsterInstance) -> None:
    register(engine, "ann", PLAIN_WALLET)

    with pytest.raises(KeyboardInterrupt), interrupted_in(launch._portfolio_sync):
        launch.run_portfolio_sync(instance, "ann", log_level="CRITICAL")

    assert instance.get_runs() == []


@dg.op
async def tell_much(_context: dg.OpExecutionContext):
    for _ in range(20):
        yield dg.AssetObservation("told")
    yield dg.Output(None)


@dg.job(executor_def=sync_executor)
def telling() -> None:
    tell_much()


def test_an_op_that_is_cancelled_as_it_tells_of_something_ends_without_a_trace(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ignored: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", ignored.append)
    interrupted = interrupted_at(dg.DagsterEventType.ASSET_OBSERVATION, signal.SIGINT, instance.handle_new_event)
    monkeypatch.setattr(instance, "handle_new_event", interrupted)
    with dg.execute_job(dg.reconstructable(telling), instance=instance) as done:
        assert not done.success
    gc.collect()

    assert ignored == []
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []
