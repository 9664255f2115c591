"""What others wait for while an operator asks for the syncs of many, and while locks are held."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import uuid4

import pytest
from sqlalchemy import Connection

from moonx_pipeline_tests.fixtures.dagster import eventually
from moonx_pipeline_tests.fixtures.gateway import GatewayProcess, token_of

_BULK = 600


def registered(gateway: GatewayProcess, count: int) -> list[str]:
    """People with a wallet who were never synced, in the order of their ids."""
    crowd = uuid4()
    people = [f"{crowd}-{number:03}" for number in range(count)]
    with gateway.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO user_wallets (user_id, wallet_address) SELECT u, '0x' || repeat('d4', 20) "
            "FROM unnest(%s::text[]) u",
            (people,),
        )
    return people


def waiting(gateway: GatewayProcess) -> set[int]:
    """The database's processes that wait for a lock."""
    with gateway.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return set(rows.scalars())


def click(gateway: GatewayProcess, person: str) -> int:
    return gateway.ask("POST", "/api/v1/sync/trigger", token_of(person)).status_code


@contextmanager
def unfinished(gateway: GatewayProcess) -> Iterator[Connection]:
    """Somebody's transaction, which is undone in the end."""
    with gateway.engine.connect() as connection:
        try:
            yield connection
        finally:
            connection.rollback()


@pytest.fixture
def people(gateway: GatewayProcess) -> Iterator[list[str]]:
    """People that an operator has asked for, all at once; the last one's request waits for a lock."""
    people = registered(gateway, _BULK)
    with ThreadPoolExecutor(1) as operator:
        with unfinished(gateway) as connection:
            connection.exec_driver_sql(
                "INSERT INTO sync_requests (user_id, source, priority) VALUES (%s, 'cli', 'low')", (people[-1],)
            )
            token = token_of("root", role="admin")
            bulk = operator.submit(gateway.ask, "POST", "/api/v1/sync/bulk", token, json={"userIds": people})
            eventually(lambda: waits(gateway))
            yield people
        assert bulk.result().json()["data"]["requested"] == _BULK


def waits(gateway: GatewayProcess) -> None:
    assert waiting(gateway)


def test_a_click_is_accepted_while_a_bulk_that_names_the_user_goes_on(
    gateway: GatewayProcess, people: list[str]
) -> None:
    assert click(gateway, people[0]) == 202


def test_people_read_while_the_views_of_others_wait_for_a_bulk(gateway: GatewayProcess, people: list[str]) -> None:
    with ThreadPoolExecutor(20) as viewers:
        # Each view asks for a sync, and waits for the requests that the bulk has not committed.
        seen = list(viewers.map(lambda person: gateway.get("/portfolio", person), people[-60:-1]))

    assert len(seen) == 59
    assert gateway.get("/portfolio", "somebody-else")["positions"] == []


def test_connections_that_were_needed_at_once_stay_open(gateway: GatewayProcess) -> None:
    people = registered(gateway, 9)
    with gateway.engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO user_sync_status (user_id) SELECT unnest(%s::text[])", (people,))

    def all_wait() -> None:
        assert len(waiting(gateway)) == len(people)

    with ThreadPoolExecutor(len(people)) as clickers:
        with unfinished(gateway) as connection:
            connection.exec_driver_sql("SELECT 1 FROM user_sync_status WHERE user_id = ANY(%s) FOR UPDATE", (people,))
            clicks = clickers.map(lambda person: click(gateway, person), people)
            eventually(all_wait)
            needed = waiting(gateway)
        assert set(clicks) == {202}
    with gateway.engine.connect() as connection:
        open_now = connection.exec_driver_sql("SELECT pid FROM pg_stat_activity").scalars()
        assert needed <= set(open_now)
