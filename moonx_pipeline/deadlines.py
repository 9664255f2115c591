"""A deadline for calls that have none of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def within(seconds: float, call: Callable[[], T], *, discard: Callable[[T], object], name: str) -> T:
    """What a call gives, or an error in time.

    Some calls can't be broken off, such as finding a host by its name. They go on in a thread of their own, which
    nobody waits for when the process ends; it costs some 50 microseconds, so it is for what is rare, like connecting.

    Args:
        seconds: The longest wait.
        call: What is called. It has an end, only not in time.
        discard: Closes what a call gives too late.
        name: Of the thread.

    Raises:
        TimeoutError: It did not end in time.
        Exception: What the call raises in time.
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
        return outcome.result()  # it ended in this moment, with a value or with an error of its own
