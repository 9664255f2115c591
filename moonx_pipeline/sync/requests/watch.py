"""Following requests to their end, woken by the events of syncs instead of asking all the time."""

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
"""How often to look though no event came: a request that is refused has none."""

_REST_SECONDS: Final = 0.1
"""The least time between two looks, whatever comes."""


def follow(engine: Engine, requests: Sequence[UUID]) -> Iterator[list[RequestState]]:
    """The changes of requests, as they come, until all have ended; first how they are now.

    Args:
        engine: The pipeline's database.
        requests: Any number of them.
    """
    with autocommit(engine) as connection:
        driver: PsycopgConnection = connection.connection.driver_connection  # type: ignore[assignment]
        # A session of its own, which takes what it has noted with it, also when Ctrl-C cuts a statement short.
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
