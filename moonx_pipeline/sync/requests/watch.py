"""Follows requests to their end, woken by sync events instead of polling."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator, Sequence
from typing import Final
from uuid import UUID

from psycopg2.extensions import connection as PsycopgConnection  # noqa: N812 - the driver writes its class in lower case
from sqlalchemy import Engine

from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.requests.states import RequestState, are_followed, begin_following, changed_requests
from moonx_pipeline.storage.syncs.outbox import CHANNEL

_LOOK_SECONDS: Final = 1.0
"""Seconds between looks without an event: a refused request has none."""

_REST_SECONDS: Final = 0.1
"""The least seconds between two looks, whatever events come."""


def follow(engine: Engine, requests: Sequence[UUID]) -> Iterator[list[RequestState]]:
    """Yields the current states of requests, then their changes until all have ended.

    Args:
        engine: The pipeline's database.
        requests: Any number of them.
    """
    with autocommit(engine) as connection:
        driver: PsycopgConnection = connection.connection.driver_connection  # type: ignore[assignment]
        # A session of its own: LISTEN and the temporary table end with it, even if Ctrl-C interrupts a statement.
        connection.detach()
        connection.exec_driver_sql(f"LISTEN {CHANNEL}")
        begin_following(connection, requests)
        while are_followed(connection):
            if changed := changed_requests(connection):
                yield changed
            else:
                _wait(driver)


def _wait(driver: PsycopgConnection) -> None:
    began = time.monotonic()
    if select.select([driver], [], [], _LOOK_SECONDS)[0]:
        driver.poll()
        driver.notifies.clear()
        time.sleep(max(0.0, began + _REST_SECONDS - time.monotonic()))
