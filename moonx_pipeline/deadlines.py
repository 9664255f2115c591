"""A deadline for calls that have none of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def within(seconds: float, call: Callable[[], T], *, discard: Callable[[T], object], name: str) -> T:
    """Returns a call's result, or raises when its time is over.

    Some calls can't be interrupted, such as resolving a host name. They go on in a thread of their own, which the
    process does not wait for when it ends. It costs some 50 microseconds, so use it for rare calls, like connecting.

    Args:
        seconds: The longest wait.
        call: The call; it must end at some time.
        discard: Closes a result that comes too late.
        name: The thread's name.

    Raises:
        TimeoutError: The call did not end in time.
        Exception: Whatever the call raises in time.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            made = call()
        except BaseException as problem:
            if outcome.set_running_or_notify_cancel():
                outcome.set_exception(problem)
            return
        if outcome.set_running_or_notify_cancel():
            outcome.set_result(made)
        else:
            discard(made)

    threading.Thread(target=run, name=name, daemon=True).start()
    try:
        return outcome.result(max(0.0, seconds))
    except TimeoutError:
        if outcome.cancel():
            raise TimeoutError(f"no answer within {seconds:.1f} s") from None
        return outcome.result()  # it ended just now, with a value or its own error
