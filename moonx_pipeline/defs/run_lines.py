"""Writes the lines of runs in the format of a worker's other log lines."""

from __future__ import annotations

import logging
from typing import Any, Final

import dagster as dg
import structlog

from moonx_pipeline.defs.dagster_private import DagsterLogRecordMetadata, context_creation_job, get_log_record_metadata
from moonx_pipeline.domain.chains import KNOWN_CHAINS
from moonx_pipeline.sync import run_tags

_CHAIN_OF_OP: Final = {f"fetch_{chain.slug}": chain.slug for chain in KNOWN_CHAINS}

_log = structlog.get_logger("run")


def write_runs_as_lines() -> None:
    """Makes our logger the default of runs in this process.

    A run uses a logger of its definitions only if its configuration names it, and runs launched from Dagster's pages
    name none; Dagster then calls the function that is replaced here.
    """
    context_creation_job.default_system_loggers = _loggers  # type: ignore[attr-defined]


def _loggers(instance: dg.DagsterInstance | None) -> list[tuple[dg.LoggerDefinition, dict[str, Any]]]:
    level = instance.python_log_level if instance else None
    return [(run_lines, {"level": level or "INFO"})]


@dg.logger(config_schema={"level": str}, description="Lines as the worker writes them.")
def run_lines(context: dg.InitLoggerContext) -> logging.Logger:
    """A logger that passes records on to our log lines."""
    logger = logging.Logger("run", context.logger_config["level"])
    logger.addHandler(_Lines())
    return logger


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        about = get_log_record_metadata(record)
        _log.log(record.levelno, about["orig_message"], **_fields(about))


def _fields(about: DagsterLogRecordMetadata) -> dict[str, Any]:
    """User, run and step of a record, as far as they are known."""
    run_id, op = about["run_id"], (about["step_key"] or "").rpartition(".")[2]
    event = about["dagster_event"]
    error = getattr(event.event_specific_data, "error", None) if event is not None else None
    user = about["job_tags"].get(run_tags.PARTITION)
    fields = {
        "user": user,
        "operation": run_id if user else None,  # a user's run is one sync, with the same id
        "run": run_id,
        "job": about["job_name"],
        "op": op or None,
        "chain": _CHAIN_OF_OP.get(op),
        "exception": error.to_string() if error is not None else None,
    }
    return {name: value for name, value in fields.items() if value is not None}
