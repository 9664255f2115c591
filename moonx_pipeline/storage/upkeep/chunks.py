"""Large work as many short transactions: none holds a lock for long, and what is done stays done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random

T = TypeVar("T")
Cursor = TypeVar("Cursor")

# Below the second after which the server looks for a deadlock: so it is this work that gives way, never a sync.
_LOCK_WAIT: Final = "500ms"
_TRIES: Final = 3
_IN_THE_WAY: Final = frozenset({"55P03", "40P01"})  # lock not available in time, deadlock


def with_lock_timeout(engine: Engine, step: Callable[[Connection], T]) -> T:
    """Does a step in a transaction that waits half a second for a lock at most, and again a few times.

    Raises:
        SQLAlchemyError: Of the last try.
    """

    def attempt() -> T:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_WAIT}'")
            return step(connection)

    tries = Retrying(
        retry=retry_if_exception(_is_in_the_way),
        stop=stop_after_attempt(_TRIES),
        wait=wait_random(0.1, 1),
        reraise=True,
    )
    return tries(attempt)


def in_chunks(
    engine: Engine, start: Cursor, step: Callable[[Connection, Cursor], tuple[int, Cursor | None]]
) -> Iterator[int]:
    """Does a work slice by slice, each in a transaction of its own.

    Args:
        engine: The database.
        start: Where the first slice begins.
        step: Does the slice at a cursor; returns its count, and where the next begins, ``None`` behind the last.

    Yields:
        The count of each slice, once it is committed. Whoever stops asking has stopped the work.
    """
    cursor: Cursor | None = start
    while cursor is not None:
        count, cursor = with_lock_timeout(engine, _at(cursor, step))
        yield count


def _at(cursor: Cursor, step: Callable[[Connection, Cursor], T]) -> Callable[[Connection], T]:
    return lambda connection: step(connection, cursor)


def _is_in_the_way(problem: BaseException) -> bool:
    return isinstance(problem, DBAPIError) and getattr(problem.orig, "pgcode", None) in _IN_THE_WAY
