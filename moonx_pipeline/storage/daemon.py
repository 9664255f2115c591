"""Whether Dagster's daemon lives, as its own table has it; without Dagster, which takes seconds to import."""

from __future__ import annotations

from typing import Final

from moonx_pipeline.settings import Settings
from moonx_pipeline.storage.database import dagster_database_url, open_engine, reach

_BEATS_WITHIN_SECONDS: Final = 90
"""It beats every 30 seconds."""


def daemon_lives(settings: Settings) -> bool:
    """Whether it has beaten lately.

    Raises:
        OperatorError: Dagster's database can't be reached.
    """
    engine = open_engine(dagster_database_url(settings), connections=1)
    try:
        reach(engine, wait_seconds=0)
        with engine.connect() as connection:
            if connection.exec_driver_sql("SELECT to_regclass('daemon_heartbeats')").scalar() is None:
                return False
            # Its column is a time without a zone; the epoch in its body needs none.
            lives: bool = connection.exec_driver_sql(
                "SELECT coalesce(max((body::json->>'timestamp')::float8) > extract(epoch FROM now()) - %s, false) "
                "FROM daemon_heartbeats",
                (_BEATS_WITHIN_SECONDS,),
            ).scalar_one()
    finally:
        engine.dispose()
    return lives
