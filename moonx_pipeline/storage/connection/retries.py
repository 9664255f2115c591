"""The database as syncs use it: each step is a function of a connection, retried while the database is unavailable.

This is the only retry layer around a sync as a whole. The fetch retries provider calls. A lost database is the other
thing that can end a sync, and each step of a sync may run twice, so the sync resumes at that step.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Concatenate, Final, NamedTuple, ParamSpec, TypeVar

from psycopg2 import Error as DriverError
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

P = ParamSpec("P")
T = TypeVar("T")


class RetryPolicy(NamedTuple):
    """How often a step is tried, and how far apart.

    Attributes:
        tries: All tries, including the first.
        delay_s: The longest wait before the second try, in seconds; each wait is random, from 0 up to its longest.
        backoff: The factor by which the longest wait grows with each try.
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
    """Whether the failed step may succeed in a moment: the database was unavailable, or another transaction held a
    lock.
    """
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, DBAPIError):
        return False
    code = getattr(error.orig, "pgcode", None)
    # Without a code the statement never reached the server: there was no connection.
    return error.connection_invalidated or code in _TRANSIENT or (isinstance(error, OperationalError) and code is None)


def with_retries(policy: RetryPolicy, deadline: float, step: Callable[[], T]) -> T:
    """Runs a step, and repeats it while the database is unavailable.

    Args:
        policy: How often.
        deadline: ``time.monotonic()`` after which no further try starts.
        step: May run any number of times.

    Raises:
        SQLAlchemyError: The error of the last try.
    """
    replaced = 0

    def died_in_pool(state: RetryCallState) -> bool:
        """Whether the connection was dead before use. All pooled ones are replaced now, so this was no try."""
        error = state.outcome.exception() if state.outcome else None
        return state.attempt_number == 1 and isinstance(error, DBAPIError) and error.connection_invalidated

    def wait(state: RetryCallState) -> float:
        nonlocal replaced
        if died_in_pool(state):
            replaced = 1
            return 0.0
        return min(jitter(state), max(0.0, deadline - time.monotonic()))

    def stop(state: RetryCallState) -> bool:
        return state.attempt_number - replaced >= policy.tries or (
            not died_in_pool(state) and time.monotonic() >= deadline
        )

    jitter = wait_random_exponential(multiplier=policy.delay_s, exp_base=policy.backoff, max=3600)
    return Retrying(retry=retry_if_exception(is_transient), wait=wait, stop=stop, reraise=True)(step)


def autocommit(engine: Engine) -> Connection:
    """A connection on which each statement is its own transaction: no round trips for begin and commit."""
    return engine.connect().execution_options(isolation_level="AUTOCOMMIT")


class Database:
    """The pipeline's database and how its steps are retried. Shared by threads.

    Attributes:
        engine: Its connections.
        retries: How steps are retried.
    """

    __slots__ = ("engine", "retries")

    def __init__(self, engine: Engine, retries: RetryPolicy) -> None:
        """Connects when a step first needs it."""
        self.engine = engine
        self.retries = retries

    def transaction(
        self, deadline: float, step: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Runs a step in one transaction.

        Args:
            deadline: ``time.monotonic()`` after which no further try starts.
            step: Takes a connection, then the arguments; it may run any number of times.
            args: The step's arguments.
            kwargs: The step's keyword arguments.

        Raises:
            SQLAlchemyError: The error of the last try.
        """

        def attempt() -> T:
            with self.engine.begin() as connection:
                return step(connection, *args, **kwargs)

        return with_retries(self.retries, deadline, attempt)

    def read(
        self, deadline: float, step: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Runs a step whose statements need no common transaction; otherwise like ``transaction``."""

        def attempt() -> T:
            try:
                with autocommit(self.engine) as connection:
                    return step(connection, *args, **kwargs)
            except DriverError as error:
                # The session broke as its connection went back to the pool, which leaves the driver's own error.
                raise OperationalError(None, None, error, connection_invalidated=True) from error

        return with_retries(self.retries, deadline, attempt)
