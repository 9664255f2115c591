"""Running the job in the caller's own process, which may be interrupted at any time."""

import signal
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import Engine

from moonx_pipeline import launch
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


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize(
    ("event", "ended"),
    [
        (dg.DagsterEventType.RUN_START, dg.DagsterRunStatus.FAILURE),
        (dg.DagsterEventType.STEP_START, dg.DagsterRunStatus.FAILURE),
        (dg.DagsterEventType.RUN_SUCCESS, dg.DagsterRunStatus.SUCCESS),
    ],
)
def test_an_interrupt_is_raised_when_the_run_has_ended(
    engine: Engine,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    event: dg.DagsterEventType,
    ended: dg.DagsterRunStatus,
    number: signal.Signals,
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
