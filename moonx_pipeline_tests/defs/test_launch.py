"""Running the job in the caller's own process, which may be interrupted at any time."""

import gc
import signal
import sys
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import Engine

from moonx_pipeline import launch
from moonx_pipeline.defs.executor import sync_executor
from moonx_pipeline.settings import load_settings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import PLAIN_WALLET
from moonx_pipeline_tests.fixtures.simulator import FAST
from moonx_pipeline_tests.sync.acts import operation, register

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture
def instance(
    database_url: str, simulator: RunningSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    for name, value in {**simulator.environment(), **FAST, "DATABASE_URL": database_url}.items():
        monkeypatch.setenv(name, value)
    load_settings.cache_clear()
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        yield instance
    for number, handler in handlers.items():
        signal.signal(number, handler)  # Dagster gives SIGTERM what it found for SIGINT
    load_settings.cache_clear()


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


def test_an_interrupt_before_there_is_a_run_is_raised_at_once(
    engine: Engine, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    look_up = launch._portfolio_sync

    @wraps(look_up)
    def looked_up() -> dg.JobDefinition:
        signal.raise_signal(signal.SIGINT)
        return look_up()

    monkeypatch.setattr(launch, look_up.__name__, looked_up)

    with pytest.raises(KeyboardInterrupt):
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
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ignored: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", ignored.append)
    with dg.instance_for_test() as instance:
        interrupted = interrupted_at(dg.DagsterEventType.ASSET_OBSERVATION, signal.SIGINT, instance.handle_new_event)
        monkeypatch.setattr(instance, "handle_new_event", interrupted)
        with dg.execute_job(dg.reconstructable(telling), instance=instance) as done:
            assert not done.success
    gc.collect()

    assert ignored == []
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []
