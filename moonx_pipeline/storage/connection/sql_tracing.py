"""Records SQL statements as child spans; statements outside a trace (pollers) get none."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Engine, ExceptionContext, event

from moonx_pipeline.tracing import OpenSpan, begin_span, is_recording

_SPAN: Final = "moonx_span"
_LONGEST: Final = 2000


def trace_sql(engine: Engine) -> None:
    """Records each statement of an engine as a span, by OpenTelemetry's conventions for databases.

    The text has placeholders and no values. OpenTelemetry's own package for SQLAlchemy is made for versions before
    2.1, and begins a trace for each statement outside one.
    """
    event.listen(engine, "before_cursor_execute", _begin)
    event.listen(engine, "after_cursor_execute", _end)
    event.listen(engine, "handle_error", _fail)


def _begin(connection: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool) -> None:
    if not is_recording():
        return
    operation = statement.split(None, 1)[0].upper()
    about = {
        "db.system.name": "postgresql",
        "db.namespace": connection.engine.url.database,
        "db.operation.name": operation,
        "db.query.text": statement[:_LONGEST],
    }
    setattr(context, _SPAN, begin_span(operation, about, kind="client"))


def _end(_connection: Any, _cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool) -> None:
    _end_span(context, None)


def _fail(problem: ExceptionContext) -> None:
    # Not the error's text: it contains the values.
    code = getattr(problem.original_exception, "pgcode", None)
    _end_span(problem.execution_context, f"{type(problem.original_exception).__name__} {code or ''}".strip())


def _end_span(context: Any, error: str | None) -> None:
    begun: OpenSpan | None = getattr(context, _SPAN, None)
    if begun is not None:
        delattr(context, _SPAN)
        begun.end(error)
