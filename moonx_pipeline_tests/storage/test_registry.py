"""The token registry: what it says follows from what each list last said, and from nothing else."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from moonx_pipeline.domain.token_list import ListedToken, TokenList, trust_of
from moonx_pipeline.providers.token_lists import listed_token
from moonx_pipeline.registry.snapshot import shipped_lists
from moonx_pipeline.storage.connection.engine import open_engine
from moonx_pipeline.storage.connection.migrations import SQL_FOLDER, ensure_schema, known_migrations, migrate
from moonx_pipeline.storage.tokens.registry import (
    ListChange,
    contracts_of,
    forget_lists,
    list_states,
    note_failure,
    replace_list,
    seed_registry,
)

A, B, C = ("0x" + digit * 40 for digit in "abc")
FIRST, SECOND = "https://first.example/list.json", "https://second.example/list.json"
CONFIGURED = (FIRST, SECOND)
TABLES = ("token_registry", "token_registry_entries")


@pytest.fixture
def bare(engine: Engine) -> Engine:
    """A registry that no list has said anything to."""
    with engine.begin() as connection:
        connection.exec_driver_sql("TRUNCATE token_registry, token_registry_entries, token_registry_lists")
    return engine


def take(engine: Engine, name: str, *tokens: ListedToken, version: str = "1") -> ListChange:
    with engine.begin() as connection:
        return replace_list(connection, TokenList(name, version, tokens), trust=trust_of(name, CONFIGURED))


def token(address: str, symbol: str | None = None, logo: str | None = None, coin: str | None = None) -> ListedToken:
    return ListedToken(1, address, symbol, f"The {symbol}" if symbol else None, logo, coin)


def registry(engine: Engine) -> dict[str, tuple[Any, ...]]:
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT token_address, symbol, logo_url, coingecko_id, lists FROM token_registry WHERE chain_id = 1"
        )
        return {address: (symbol, logo, coin, *lists) for address, symbol, logo, coin, lists in rows}


def versions(engine: Engine) -> list[Any]:
    """Which version of each row stands in the tables: another one where a row was written, be it the same."""
    with engine.connect() as connection:
        return [
            row
            for table in TABLES
            for row in connection.exec_driver_sql(
                f"SELECT '{table}', xmin::text, ctid::text, chain_id, token_address FROM {table} ORDER BY 1, 2, 3, 4, 5"
            )
        ]


def test_every_database_knows_the_lists_of_the_package(engine: Engine) -> None:
    shipped = shipped_lists()
    with engine.connect() as connection:
        states = list_states(connection)
        known = set(map(tuple, connection.exec_driver_sql("SELECT chain_id, token_address FROM token_registry")))
        usdc_e = connection.exec_driver_sql(
            "SELECT symbol, coingecko_id, lists FROM token_registry WHERE (chain_id, token_address) = "
            "(10, '0x7f5c764cbc14f9669b88837ca1490cca17c31607')"
        ).one()

    assert [(s.name, s.version, s.tokens, s.error) for s in states] == [
        (taken.name, taken.version, len(taken.tokens), None) for taken in shipped
    ]
    assert known == {(t.chain_id, t.token_address) for taken in shipped for t in taken.tokens}
    assert tuple(usdc_e) == ("USDC.e", "bridged-usd-coin-optimism", ["moonx", "aave", "superchain"])


def test_a_database_that_has_the_lists_is_left_alone(engine: Engine) -> None:
    before = versions(engine)

    migrate(engine)
    with engine.begin() as connection:
        assert seed_registry(connection) == []

    assert versions(engine) == before


@pytest.mark.parametrize("how", ["migrate", "start"])
def test_another_version_of_a_list_is_loaded_by_migrating_and_by_starting(engine: Engine, how: str) -> None:
    before = registry(engine)
    take(engine, "aave", token(A, "OLD"), version="of another version")
    assert A in registry(engine)

    if how == "migrate":
        assert migrate(engine) == ()
    else:
        ensure_schema(engine, is_embedded=False)
        assert A in registry(engine)
        ensure_schema(engine, is_embedded=True)

    assert registry(engine) == before


def test_an_older_version_leaves_the_lists_of_a_newer_one(engine: Engine) -> None:
    take(engine, "aave", token(A, "NEWER"), version="of a later version")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO schema_migrations (migration_hash, migration_id, applied_at_utc, runs_with) "
            "VALUES ('x', '9999.later', now(), %s)",
            (known_migrations()[-1],),
        )

    migrate(engine)

    assert registry(engine)[A] == ("NEWER", None, None, "aave")


def test_a_schema_from_before_the_registry_is_migrated_up_to_there(empty_database_url: str, tmp_path: Path) -> None:
    engine = open_engine(empty_database_url)
    for name in known_migrations()[:13]:
        shutil.copy(SQL_FOLDER / f"{name}.sql", tmp_path)

    assert len(migrate(engine, tmp_path)) == 13
    migrate(engine)

    with engine.connect() as connection:
        assert len(list_states(connection)) == len(shipped_lists())
    engine.dispose()


def test_each_column_is_of_the_first_list_in_the_order_of_trust_that_has_it(bare: Engine) -> None:
    take(bare, "coingecko", token(A, "usdc", None, "usd-coin"), token(B, "b", None, "coin-b"))
    take(bare, SECOND, token(A, "SECOND", "https://second.example/logo"))
    take(bare, FIRST, token(A, "FIRST"), token(C))

    assert registry(bare) == {
        A: ("FIRST", "https://second.example/logo", "usd-coin", FIRST, SECOND, "coingecko"),
        B: ("b", None, "coin-b", "coingecko"),
        C: (None, None, None, FIRST),
    }


def test_the_id_that_the_package_gives_a_contract_goes_before_the_listings(bare: Engine) -> None:
    take(bare, "coingecko", token(A, "usdt", None, "bridged-usdt"))
    take(bare, "moonx", token(A, "USDT", None, "tether"))

    assert registry(bare)[A][:3] == ("USDT", None, "tether")


def test_a_contract_dropped_by_one_list_stays_while_another_names_it(bare: Engine) -> None:
    logo = "https://first.example/logo"
    take(bare, FIRST, token(A, "FIRST", logo), token(B, "B"))
    take(bare, SECOND, token(A, "SECOND"), token(C, "C"))

    assert take(bare, FIRST, token(B, "B")) == ListChange(added=0, removed=1, renamed=0)
    assert registry(bare)[A] == ("SECOND", None, None, SECOND)

    take(bare, SECOND, token(C, "C"))
    assert registry(bare).keys() == {B, C}


def test_the_same_list_again_touches_no_row_and_a_change_touches_its_own(bare: Engine) -> None:
    tokens = [token("0x" + f"{number:040x}", f"T{number}", None, f"coin-{number}") for number in range(1, 200)]
    take(bare, "coingecko", *tokens)
    take(bare, FIRST, *tokens[:50])
    before = versions(bare)

    assert take(bare, "coingecko", *reversed(tokens), version="2") == ListChange(0, 0, 0)
    assert versions(bare) == before

    renamed = tokens[100]._replace(symbol="NEW")
    assert take(bare, "coingecko", *tokens[:100], renamed, *tokens[101:]) == ListChange(0, 0, renamed=1)
    touched = set(versions(bare)) - set(before)
    assert {(row[0], row[4]) for row in touched} == {(table, renamed.token_address) for table in TABLES}


def test_a_list_that_fails_changes_nothing_and_says_why(bare: Engine) -> None:
    take(bare, FIRST, token(A, "FIRST"), version="7")
    before = versions(bare)

    with bare.begin() as connection:
        note_failure(connection, FIRST, "It is down.", trust=100)
        note_failure(connection, SECOND, "It never was up.", trust=101)
        failed, never = list_states(connection)

    assert versions(bare) == before
    assert (failed.version, failed.tokens, failed.error) == ("7", 1, "It is down.")
    assert failed.read_at is not None
    assert failed.asked_at > failed.read_at
    assert (never.version, never.tokens, never.read_at, never.error) == (None, 0, None, "It never was up.")

    take(bare, FIRST, token(A, "FIRST"))
    with bare.connect() as connection:
        assert [state.error for state in list_states(connection)] == [None, "It never was up."]


def test_a_refresh_that_is_rolled_back_leaves_nothing_of_itself(bare: Engine) -> None:
    take(bare, FIRST, token(A, "A"))
    before = versions(bare)

    with pytest.raises(RuntimeError), bare.begin() as connection:  # noqa: PT012 - the rollback is what is tried
        replace_list(connection, TokenList(FIRST, "2", (token(B, "B"),)), trust=100)
        raise RuntimeError

    assert versions(bare) == before


def test_lists_that_are_configured_no_more_are_forgotten_and_others_are_not(bare: Engine) -> None:
    for name in ("aave", "coingecko", FIRST, SECOND):
        take(bare, name, token(A, name), *([token({FIRST: B, SECOND: C}[name], name)] if name in CONFIGURED else []))

    with bare.begin() as connection:
        assert forget_lists(connection, [SECOND]) == [FIRST]
        assert forget_lists(connection, [SECOND]) == []

    assert registry(bare) == {A: ("aave", None, None, "aave", SECOND, "coingecko"), C: (SECOND, None, None, SECOND)}
    with bare.begin() as connection:
        assert forget_lists(connection, []) == [SECOND]


def test_lists_read_at_the_same_time_both_count(bare: Engine) -> None:
    names = (FIRST, SECOND, "aave", "coingecko")
    with ThreadPoolExecutor(4) as threads:
        for _ in range(5):
            list(threads.map(lambda name: take(bare, name, token(A, name), version=name), names))
            assert registry(bare)[A][3:] == ("aave", FIRST, SECOND, "coingecko")
            list(threads.map(lambda name: take(bare, name), names))
            assert registry(bare) == {}


@pytest.mark.parametrize("name", ["\0\0", "a\0b", "\ud800x", "💩" * 500_000, "'; DROP TABLE token_registry; --", "\\"])
def test_hostile_names_are_stored_as_far_as_they_can_be(bare: Engine, name: str) -> None:
    hostile = listed_token(1, A, symbol=name, name=name, logo_url="https://" + name, coingecko_id=name)
    assert hostile is not None

    take(bare, FIRST, hostile, token(B, "B"))

    assert registry(bare).keys() == {A, B}
    assert registry(bare)[A][0] == hostile.symbol
    assert len(hostile.symbol or "") <= 200


def test_the_contracts_of_coins_are_found_chain_by_chain(bare: Engine) -> None:
    take(bare, "coingecko", token(B, "b", None, "coin-b"), token(A, "a", None, "coin-a"), token(C, "c", None, "coin-c"))
    take(bare, FIRST, ListedToken(10, A, "A"))

    with bare.connect() as connection:
        assert contracts_of(connection, 1, ["coin-b", "coin-a", "none"]) == [A, B]
        assert contracts_of(connection, 1, []) == []
        assert contracts_of(connection, 10, ["coin-a"]) == []


_texts = st.sampled_from([None, "x", "y"])
_tokens = st.builds(ListedToken, st.sampled_from([1, 10]), st.sampled_from([A, B, C]), _texts, _texts, _texts, _texts)
_list = st.lists(_tokens, max_size=5, unique_by=lambda t: (t.chain_id, t.token_address)).map(tuple)
_NAMES = ("moonx", "superchain", FIRST, SECOND, "coingecko")


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(readings=st.lists(st.tuples(st.sampled_from(_NAMES), _list), max_size=8))
def test_the_registry_follows_from_what_each_list_said_last_in_whatever_order(
    bare: Engine, readings: list[tuple[str, tuple[ListedToken, ...]]]
) -> None:
    with bare.begin() as connection:
        connection.exec_driver_sql("TRUNCATE token_registry, token_registry_entries, token_registry_lists")
    for name, tokens in readings:
        take(bare, name, *tokens)

    last = dict(readings)
    expected: dict[tuple[int, str], list[Any]] = {}
    for name in [name for name in _NAMES if name in last]:
        for listed in last[name]:
            row = expected.setdefault((listed.chain_id, listed.token_address), [None, None, None, None, []])
            row[:4] = [known or said for known, said in zip(row[:4], listed[2:], strict=True)]
            row[4].append(name)
    with bare.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT chain_id, token_address, symbol, name, logo_url, coingecko_id, lists FROM token_registry"
        )
        assert {(chain_id, address): row for chain_id, address, *row in rows} == expected
