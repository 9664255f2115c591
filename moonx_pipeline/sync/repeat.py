"""Steps on the database that are done again: the layer of retries of a sync as a whole.

What a provider does not give is asked again by the fetch, and nothing here asks it once more. The database
going away is what ends a sync otherwise; each of a sync's steps may be done twice, so it is resumed there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

T = TypeVar("T")


class Repeats(NamedTuple):
    """How often, and how far apart.

    Attributes:
        tries: The first included.
        delay_s: The longest wait before the second try; each is drawn between none and its longest.
        backoff: How the longest wait grows with each try.
    """

    tries: int
    delay_s: float
    backoff: float


_TRANSIENT: Final = frozenset(
    {
        "40001",  # serialization failure
        "40P01",  # deadlock
        "53300",  # too many connections
        "55P03",  # lock not available in time
        "57P01", "57P02", "57P03",  # shutting down, crashed, starting up
    }
)  # fmt: skip


def is_transient(error: BaseException) -> bool:
    """Whether a step that failed so may succeed in a moment: the database was away, or somebody was in the way."""
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, DBAPIError):
        return False
    code = getattr(error.orig, "pgcode", None)
    # Without a code it never came to the server: there was no connection to be had.
    return error.connection_invalidated or code in _TRANSIENT or (isinstance(error, OperationalError) and code is None)


def in_database(repeats: Repeats, deadline: float, step: Callable[[], T]) -> T:
    """Does a step, and does it again where the database was away.

    Args:
        repeats: How often.
        deadline: ``time.monotonic()`` after which it is not tried again.
        step: May be done any number of times.

    Raises:
        SQLAlchemyError: Of the last try.
    """
    replaced = 0

    def died_in_pool(state: RetryCallState) -> bool:
        """The connection had been dead before it was used: all of the pool's are replaced now, and that is no try."""
        error = state.outcome.exception() if state.outcome else None
        return state.attempt_number == 1 and isinstance(error, DBAPIError) and error.connection_invalidated

    def wait(state: RetryCallState) -> float:
        nonlocal replaced
        if died_in_pool(state):
            replaced = 1
            return 0.0
        return min(jitter(state), max(0.0, deadline - time.monotonic()))

    def stop(state: RetryCallState) -> bool:
        return state.attempt_number - replaced >= repeats.tries or (
            not died_in_pool(state) and time.monotonic() >= deadline
        )

    jitter = wait_random_exponential(multiplier=repeats.delay_s, exp_base=repeats.backoff, max=3600)
    return Retrying(retry=retry_if_exception(is_transient), wait=wait, stop=stop, reraise=True)(step)
