"""Whether Dagster's daemon lives, as its own table has it; without Dagster, which takes seconds to import."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Engine

_BEATS_WITHIN_SECONDS: Final = 90
"""It beats every 30 seconds."""


def daemon_lives(engine: Engine) -> bool:
    """Whether it has beaten lately.

    Args:
        engine: Of Dagster's storage.
    """
    with engine.connect() as connection:
        if connection.exec_driver_sql("SELECT to_regclass('daemon_heartbeats')").scalar() is None:
            return False
        # Its column is a time without a zone; the epoch in its body needs none.
        lives: bool = connection.exec_driver_sql(
            "SELECT coalesce(max((body::json->>'timestamp')::float8) > extract(epoch FROM now()) - %s, false) "
            "FROM daemon_heartbeats",
            (_BEATS_WITHIN_SECONDS,),
        ).scalar_one()
    return lives
