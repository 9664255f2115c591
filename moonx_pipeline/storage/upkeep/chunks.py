"""Splits large work into many short transactions: none holds a lock for long, and what is done stays done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random

T = TypeVar("T")
Cursor = TypeVar("Cursor")

# Less than the second after which the server looks for a deadlock: so this work gives way, never a sync.
_LOCK_WAIT: Final = "500ms"
_TRIES: Final = 3
_IN_THE_WAY: Final = frozenset({"55P03", "40P01"})  # lock not available in time, deadlock


_PACKING: Final = 0x7061636B65767473


def is_packing_alone(connection: Connection) -> bool:
    """Whether no other transaction packs; then none does until this one ends."""
    is_alone: bool = connection.exec_driver_sql("SELECT pg_try_advisory_xact_lock(%s)", (_PACKING,)).scalar_one()
    return is_alone


def with_lock_timeout(engine: Engine, step: Callable[[Connection], T]) -> T:
    """Runs a step in a transaction that waits at most half a second for a lock, and retries it a few times.

    Raises:
        SQLAlchemyError: The error of the last try.
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
    """Runs work chunk by chunk, each in its own transaction.

    Args:
        engine: The database.
        start: Where the first chunk begins.
        step: Processes the chunk at a cursor; returns its count, and where the next begins, ``None`` after the last.

    Yields:
        The count of each chunk, once it is committed. A caller that stops iterating stops the work.
    """
    cursor: Cursor | None = start
    while cursor is not None:
        count, cursor = with_lock_timeout(engine, _at(cursor, step))
        yield count


def _at(cursor: Cursor, step: Callable[[Connection, Cursor], T]) -> Callable[[Connection], T]:
    return lambda connection: step(connection, cursor)


def _is_in_the_way(problem: BaseException) -> bool:
    return isinstance(problem, DBAPIError) and getattr(problem.orig, "pgcode", None) in _IN_THE_WAY
