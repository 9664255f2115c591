"""Errors that an operator can fix."""

from __future__ import annotations

EXIT_FAILED = 1
EXIT_WRONG_USE = 2
EXIT_PARTIAL = 3


class OperatorError(Exception):
    """An expected failure: the message says what happened, to what, and what to do next.

    Commands print it as one sentence without a stack trace and end with ``exit_code``.
    """

    exit_code = EXIT_FAILED


class WrongUse(OperatorError):
    """The command, a setting or its input is wrong; nothing was done."""

    exit_code = EXIT_WRONG_USE
