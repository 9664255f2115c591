"""A refresh of the registry against a real server of lists: what is taken, and what is left as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from moonx_pipeline.settings import Settings
from moonx_pipeline.storage.connection.retries import Database, RetryPolicy
from moonx_pipeline.storage.protection.breaker_rows import breakers
from moonx_pipeline.storage.protection.rate_limits import current_blocks
from moonx_pipeline.storage.tokens.registry import ListChange, list_states
from moonx_pipeline.sync.pricing.registry_refresh import RefreshedList, RegistryRefresh, refresh_registry
from moonx_pipeline.sync.protection.breakers import BreakerRules
from moonx_pipeline_tests.fixtures.simulator import FAST, UNLIMITED
from moonx_pipeline_tests.support.list_server import LISTING, ListServer, serving_lists

A, B, C, D = ("0x" + digit * 40 for digit in "abcd")
USDT_OPTIMISM = "0x94b008aa00579c1307b0ef2c499ad98a8ce58e58"
RULES = BreakerRules(enabled=True, threshold=5, open_for=timedelta(minutes=1), lease=timedelta(minutes=1))
UNCHANGED = ListChange(added=0, removed=0, renamed=0)

Refresh = Callable[..., RegistryRefresh]


@pytest.fixture
def lists() -> Iterator[ListServer]:
    with serving_lists() as server:
        server.put_tokens("/first.json", (1, A, "FIRST"), (1, B, "B"))
        server.put_tokens("/second.json", (1, A, "SECOND"), (8453, C, "C"))
        server.put_coins(
            ("coin-a", "a", {"ethereum": A}), ("coin-d", "d", {"base": D, "solana": "So1"}), ("bitcoin", "btc", {})
        )
        yield server


@pytest.fixture
def refresh(engine: Engine, lists: ListServer) -> Refresh:
    """Refreshes with the two lists, or with those that are given."""

    def run(*paths: str, **environment: str) -> RegistryRefresh:
        urls = [lists.url + path for path in paths or ("/first.json", "/second.json?key=sekrit")]
        given = {"COINGECKO_BASE_URL": f"{lists.url}/api/v3", "TOKEN_LISTS": " ".join(urls), **environment}
        return refresh_registry(
            Database(engine, RetryPolicy(3, 0.01, 2)), Settings.from_environment({**FAST, **UNLIMITED, **given}), RULES
        )

    return run


def of(done: RegistryRefresh, name: str) -> RefreshedList:
    """How the reading of a list ended, by its path or name."""
    (found,) = [taken for taken in done.lists if taken.name.endswith(name)]
    return found


def registry(engine: Engine) -> dict[tuple[int, str], tuple[Any, ...]]:
    """What is known of the contracts of the test."""
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT chain_id, token_address, symbol, coingecko_id, lists FROM token_registry "
            "WHERE token_address = ANY(%s)",
            ([A, B, C, D],),
        )
        return {(chain_id, address): (symbol, coin, said) for chain_id, address, symbol, coin, said in rows}


def rows(engine: Engine) -> list[Any]:
    """All rows, each with the version that a write would change."""
    with engine.connect() as connection:
        return list(connection.exec_driver_sql("SELECT xmin::text, * FROM token_registry ORDER BY 2, 3"))


def all_known(lists: ListServer) -> dict[tuple[int, str], tuple[Any, ...]]:
    first, second = [f"{lists.url}/first.json"], [f"{lists.url}/second.json"]
    return {
        (1, A): ("FIRST", "coin-a", [*first, *second, "coingecko"]),
        (1, B): ("B", None, first),
        (8453, C): ("C", None, second),
        (8453, D): ("d", "coin-d", ["coingecko"]),
    }


def test_every_list_is_read_and_what_changed_is_told(engine: Engine, lists: ListServer, refresh: Refresh) -> None:
    done = refresh()

    assert [(taken.name, taken.tokens, taken.change, taken.error) for taken in done.lists] == [
        (name, 2, ListChange(2, 0, 0), None)
        for name in (f"{lists.url}/first.json", f"{lists.url}/second.json", "coingecko")
    ]
    assert registry(engine) == all_known(lists)
    assert lists.asked == ["/first.json", "/second.json?key=sekrit", f"{LISTING}?include_platform=true"]


def test_the_same_lists_again_touch_no_row(engine: Engine, refresh: Refresh) -> None:
    refresh()
    before = rows(engine)

    assert {taken.change for taken in refresh().lists} == {UNCHANGED}

    assert rows(engine) == before


def test_contracts_that_a_list_dropped_took_in_and_renamed_are_told(
    engine: Engine, lists: ListServer, refresh: Refresh
) -> None:
    refresh()
    lists.put_tokens("/first.json", (1, B, "NEW"), (1, C, "C"), version=2)

    assert of(refresh(), "/first.json").change == ListChange(added=1, removed=1, renamed=1)

    assert registry(engine)[1, A] == ("SECOND", "coin-a", [f"{lists.url}/second.json", "coingecko"])
    assert registry(engine)[1, B] == ("NEW", None, [f"{lists.url}/first.json"])


@pytest.mark.parametrize(
    ("path", "status", "body", "says"),
    [
        ("/first.json", 503, b"", "503"),
        ("/first.json", 404, b"", "404"),
        ("/first.json", 200, b"{}", "does not document"),
        ("/first.json", 200, b"<html>", "does not document"),
        ("/first.json", 200, b'{"tokens": []}', "no token of a known chain"),
        ("/first.json", 200, b'{"tokens": [{"chainId": 1, "addr', "does not document"),
        (LISTING, 503, b"", "503"),
        (LISTING, 200, b"[]", "no token of a known chain"),
        (LISTING, 200, b"{}", "does not document"),
        (LISTING, 200, b'[{"id": "bitcoin", "platforms": {}}]', "no token of a known chain"),
    ],
)
def test_a_list_that_can_not_be_read_keeps_what_it_said_and_costs_no_other(
    engine: Engine, lists: ListServer, refresh: Refresh, path: str, status: int, body: bytes, says: str
) -> None:
    refresh()
    lists.put(path, body, status)
    lists.put_tokens("/second.json", (1, A, "SECOND"), (8453, C, "NEWER"))

    failed = of(refresh(), "coingecko" if path == LISTING else path)

    assert registry(engine) == {**all_known(lists), (8453, C): ("NEWER", None, [f"{lists.url}/second.json"])}
    assert says in (failed.error or "")
    assert (failed.tokens, failed.change) == (2, UNCHANGED)
    with engine.connect() as connection:
        noted = {state.name: state.error for state in list_states(connection) if state.error}
    assert noted == {failed.name: failed.error}


def test_a_list_that_lost_more_than_half_is_not_taken(lists: ListServer, refresh: Refresh) -> None:
    coins = [(f"coin-{number}", "x", {"base": f"0x{number:040x}"}) for number in range(1, 11)]
    lists.put_coins(*coins)
    refresh()

    lists.put_coins(*coins[:4])
    refused = of(refresh(), "coingecko")
    assert (refused.tokens, refused.change) == (10, UNCHANGED)
    assert "4 tokens after 10" in (refused.error or "")

    lists.put_coins(*coins[:5])
    taken = of(refresh(), "coingecko")
    assert (taken.tokens, taken.change, taken.error) == (5, ListChange(0, 5, 0), None)


def test_without_lists_of_the_operators_own_the_listing_alone_is_read(refresh: Refresh) -> None:
    assert [taken.name for taken in refresh(TOKEN_LISTS="").lists] == ["coingecko"]


def test_a_list_that_is_configured_no_more_names_nothing_any_more(
    engine: Engine, lists: ListServer, refresh: Refresh
) -> None:
    refresh()

    assert refresh("/second.json").forgotten == (f"{lists.url}/first.json",)

    assert registry(engine).keys() == {(1, A), (8453, C), (8453, D)}
    assert registry(engine)[1, A][0] == "SECOND"


def test_a_configured_list_that_fails_is_not_forgotten(engine: Engine, lists: ListServer, refresh: Refresh) -> None:
    refresh()
    lists.answers.clear()

    assert refresh().forgotten == ()
    assert registry(engine) == all_known(lists)


def test_the_first_list_that_is_configured_is_trusted_the_most(engine: Engine, refresh: Refresh) -> None:
    refresh("/second.json", "/first.json")
    assert registry(engine)[1, A][0] == "SECOND"

    refresh("/first.json", "/second.json")
    assert registry(engine)[1, A][0] == "FIRST"


def test_the_ids_of_majors_are_the_packages_and_not_those_of_bridged_ones(
    engine: Engine, lists: ListServer, refresh: Refresh
) -> None:
    lists.put_coins(("bridged-usdt", "usdt", {"optimistic-ethereum": USDT_OPTIMISM}))

    refresh()

    with engine.connect() as connection:
        row = connection.exec_driver_sql(
            "SELECT symbol, coingecko_id, 'coingecko' = ANY(lists) FROM token_registry "
            "WHERE chain_id = 10 AND token_address = %s",
            (USDT_OPTIMISM,),
        ).one()
    assert tuple(row) == ("USDT", "tether", True)


def listing_calls(lists: ListServer) -> int:
    return sum(path.startswith(LISTING) for path in lists.asked)


def test_the_listing_is_not_asked_for_while_coingeckos_limit_is_reached(
    engine: Engine, lists: ListServer, refresh: Refresh
) -> None:
    lists.put(LISTING, {"status": {"error_message": "Too many"}}, 429, Retry_After="3600")
    assert "rate limit is reached" in (of(refresh(), "coingecko").error or "")
    with engine.connect() as connection:
        assert [block.key for block in current_blocks(connection)] == ["coingecko"]

    assert "rate limit is used up" in (of(refresh(), "coingecko").error or "")

    assert listing_calls(lists) == 1


def test_the_listing_shares_the_circuit_breaker_of_coingeckos_prices(
    engine: Engine, lists: ListServer, refresh: Refresh
) -> None:
    lists.put(LISTING, {"status": {"error_message": "Bad key"}}, 401)
    refresh(COINGECKO_API_KEY="sekrit")
    with engine.connect() as connection:
        (breaker,) = breakers(connection)
    assert (breaker.key, breaker.state, breaker.cause) == ("coingecko", "open", "key_rejected")

    assert "circuit breaker 'coingecko' is open" in (of(refresh(), "coingecko").error or "")

    assert listing_calls(lists) == 1


def test_no_key_of_a_url_or_of_coingecko_is_stored_or_told(engine: Engine, lists: ListServer, refresh: Refresh) -> None:
    lists.put("/second.json", b'{"message": "no key \\"sekrit\\""}', 403)
    lists.put(LISTING, {"status": {"error_message": "sekrit is no key"}}, 401)

    done = refresh("/first.json", "/second.json?key=hidden", COINGECKO_API_KEY="sekrit")

    with engine.connect() as connection:
        assert "hidden" not in f"{done} {list_states(connection)}"
    assert "sekrit" not in (of(done, "coingecko").error or "")
