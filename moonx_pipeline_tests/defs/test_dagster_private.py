"""What is relied on of each private symbol of Dagster."""

import inspect
import logging
import os
import signal
from pathlib import Path

import dagster as dg
import pytest

import moonx_pipeline
from moonx_pipeline.defs import dagster_private as private


def parameters(function: object) -> list[str]:
    return list(inspect.signature(function).parameters)  # type: ignore[arg-type]


def test_no_other_module_imports_a_private_module_of_dagster() -> None:
    package = Path(moonx_pipeline.__file__).parent
    importing = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if any(line.startswith(("from dagster._", "import dagster._")) for line in path.read_text().splitlines())
    }
    assert importing == {"defs/dagster_private.py"}


def test_executor_yields_the_events_of_a_plan() -> None:
    assert issubclass(private.InProcessExecutor, dg.Executor)
    assert parameters(private.InProcessExecutor.execute) == ["self", "plan_context", "execution_plan"]
    assert private.InProcessExecutor(private.RetryMode.DISABLED).retries is private.RetryMode.DISABLED
    assert hasattr(private.PlanOrchestrationContext, "dagster_run")
    assert inspect.isclass(private.ExecutionPlan)


def test_job_of_a_module_is_reconstructed() -> None:
    job = private.ReconstructableJob.for_module("moonx_pipeline.launch", "_portfolio_sync")
    assert job.get_definition().name == "portfolio_sync"


def test_coordinator_takes_the_settings_of_its_queue() -> None:
    assert {"max_concurrent_runs", "tag_concurrency_limits", "max_user_code_failure_retries"} <= set(
        parameters(private.RunQueueConfig)
    )
    assert {"submit_run", "get_run_queue_config"} <= set(dir(private.QueuedRunCoordinator))
    assert {"dagster_run"} <= set(private.SubmitRunContext._fields)


def test_launcher_gets_the_run_and_answers_its_health() -> None:
    assert "dagster_run" in dir(private.LaunchRunContext)
    assert private.CheckRunHealthResult(private.WorkerStatus.RUNNING).status is private.WorkerStatus.RUNNING
    assert private.WorkerStatus.FAILED is not private.WorkerStatus.RUNNING
    assert issubclass(private.DagsterLaunchFailedError, Exception)
    assert {"job_origin", "run_id", "instance_ref"} <= set(parameters(private.ExecuteRunArgs))


def test_component_of_an_instance_keeps_its_configuration() -> None:
    data = private.ConfigurableClassData("a.module", "AClass", "{}")
    assert (data.module_name, data.class_name) == ("a.module", "AClass")
    assert "__class__" in private.pack_value(data)


def test_loggers_of_a_run_are_made_where_they_are_replaced() -> None:
    assert callable(private.context_creation_job.default_system_loggers)


def test_record_without_a_run_has_no_run() -> None:
    record = logging.LogRecord("x", logging.INFO, __file__, 1, "said", None, None)
    with pytest.raises(Exception):  # noqa: B017 - whatever it raises, it names no run
        private.get_log_record_metadata(record)
    assert "run_id" in private.DagsterLogRecordMetadata.__annotations__


def test_interrupt_is_kept_until_it_is_asked_for() -> None:
    with private.capture_interrupts():
        os.kill(os.getpid(), signal.SIGINT)
        kept = True
    assert kept
