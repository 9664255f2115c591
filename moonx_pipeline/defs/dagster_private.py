"""The only imports from Dagster's private modules: check them before an upgrade of Dagster.

Dagster has no public names for these. Each has a test of the behavior we rely on; the test that fails after an
upgrade names the changed one.
"""

from dagster._core.definitions.reconstruct import ReconstructableJob
from dagster._core.errors import DagsterLaunchFailedError
from dagster._core.execution import context_creation_job
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.in_process import InProcessExecutor
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._core.log_manager import DagsterLogRecordMetadata, get_log_record_metadata
from dagster._core.run_coordinator import SubmitRunContext
from dagster._core.run_coordinator.queued_run_coordinator import QueuedRunCoordinator, RunQueueConfig
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import ConfigurableClassData, pack_value
from dagster._utils.interrupts import capture_interrupts

__all__ = [
    "CheckRunHealthResult",
    "ConfigurableClassData",
    "DagsterLaunchFailedError",
    "DagsterLogRecordMetadata",
    "ExecuteRunArgs",
    "ExecutionPlan",
    "InProcessExecutor",
    "LaunchRunContext",
    "PlanOrchestrationContext",
    "QueuedRunCoordinator",
    "ReconstructableJob",
    "RetryMode",
    "RunQueueConfig",
    "SubmitRunContext",
    "WorkerStatus",
    "capture_interrupts",
    "context_creation_job",
    "get_log_record_metadata",
    "pack_value",
]
