"""The thread behind the live connection, while its database comes and goes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

import pytest
import structlog.testing
from sqlalchemy import Engine, create_engine, make_url

from moonx_pipeline.events.stream import OutboxStream, StreamedEvent
from moonx_pipeline.gateway.live.feed import Feed
from moonx_pipeline.storage.connection.engine import open_engine
from moonx_pipeline_tests.fixtures.dagster import eventually
from moonx_pipeline_tests.fixtures.database import cut_connections
from moonx_pipeline_tests.support.live_events import started, tell

_names = itertools.count(1)


class Ear:
    """Whom a feed delivers to."""

    def __init__(self) -> None:
        self.heard: list[int] = []
        self.skips = 0
        self.fails_at: int | None = None

    async def deliver(self, events: list[StreamedEvent], skipped: bool) -> None:
        self.skips += skipped
        versions = [event.value["version"] for event in events]
        self.heard += versions
        if self.fails_at in versions:
            raise ValueError("A bug.")


async def until(look: Callable[[], bool]) -> None:
    await asyncio.to_thread(eventually, lambda: _is_true(look()))


def _is_true(value: bool) -> None:
    assert value


def test_it_has_its_position_when_it_has_started_and_ends_when_it_is_stopped(engine: Engine) -> None:
    ear = Ear()

    async def live() -> None:
        feed = Feed("event stream", OutboxStream(engine), ear.deliver)
        assert feed.health()[0] is False
        await feed.start()
        assert (feed.health(), ear.skips) == ((True, None), 1)
        await asyncio.to_thread(tell, engine, started("ann", 1), started("ann", 2))
        await until(lambda: ear.heard == [1, 2])
        await feed.stop()
        assert not feed._thread.is_alive()

    tell(engine, started("ann", 0))
    asyncio.run(live())
    assert (ear.heard, ear.skips) == ([1, 2], 1)


def test_a_break_is_said_once_and_once_that_it_is_over_and_costs_nothing(engine: Engine) -> None:
    ear = Ear()

    async def live() -> None:
        feed = Feed("event stream", OutboxStream(engine), ear.deliver)
        await feed.start()
        cut_connections(engine)
        await until(lambda: bool(logs))
        await asyncio.to_thread(tell, engine, started("ann", 1))
        await until(lambda: ear.heard == [1])
        await until(lambda: feed.health() == (True, None))
        await feed.stop()

    with structlog.testing.capture_logs() as logs:
        asyncio.run(live())
    assert [line["event"] for line in logs] == ["feed is away", "feed is back"]
    assert ear.skips == 1


def test_a_database_that_comes_up_later_is_waited_for(postgres_server: str) -> None:
    name, ear = f"later_{next(_names)}", Ear()
    admin = create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    engine = open_engine(make_url(postgres_server).set(database=name).render_as_string(hide_password=False))

    async def live() -> None:
        feed = Feed("event stream", OutboxStream(engine), ear.deliver)
        await feed.start()
        ok, error = feed.health()
        assert (ok, ear.skips) == (False, 0)
        assert error is not None
        assert "The database is away" in error
        assert "Since 2" in error
        await asyncio.to_thread(_create, admin, name)
        await until(lambda: feed.health()[0])
        # It was too late for what may have been: whoever listens already is told to look.
        assert ear.skips == 1
        await asyncio.to_thread(tell, engine, started("ann", 1))
        await until(lambda: ear.heard == [1])
        await feed.stop()

    asyncio.run(live())
    engine.dispose()
    admin.dispose()


def _create(admin: Engine, name: str) -> None:
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE template_moonx")


@pytest.mark.parametrize("fails_at", [1, 2])
def test_a_bug_in_what_is_delivered_to_does_not_end_it(engine: Engine, fails_at: int) -> None:
    ear = Ear()
    ear.fails_at = fails_at

    async def live() -> None:
        feed = Feed("event stream", OutboxStream(engine), ear.deliver)
        await feed.start()
        for version in (1, 2, 3):
            await asyncio.to_thread(tell, engine, started("ann", version))
            await until(lambda version=version: version in ear.heard)  # type: ignore[misc]
        await feed.stop()

    asyncio.run(live())
    assert ear.heard == [1, 2, 3]
