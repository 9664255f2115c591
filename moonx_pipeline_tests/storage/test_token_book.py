"""What is known of tokens, as a real server keeps it: of each datum the latest, whoever writes when."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import reduce
from itertools import count
from time import monotonic

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, event

from moonx_pipeline.domain.chains import ETHEREUM
from moonx_pipeline.domain.evidence import Evidence, found, merge
from moonx_pipeline.domain.identity import Listing
from moonx_pipeline.domain.market import Known
from moonx_pipeline.domain.portfolio import TokenInfo, TokenKey
from moonx_pipeline.domain.quotes import ASKED_SOURCES, PriceSource
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.tokens.token_store import (
    FetchedMetadata,
    TokenStore,
    logo_url_of,
    read_tokens,
    write_tokens,
)
from moonx_pipeline_tests.support.examples import (
    DEEP,
    NOON,
    NOW,
    THIN,
    UNKNOWN,
    depth,
    evidence,
    key_of,
    quote,
    stored_evidences,
)

MINE = key_of(7)
AN_HOUR, A_DAY = timedelta(hours=1), timedelta(days=1)
_numbers = count(1000)


def write(engine: Engine, *parts: Evidence, key: TokenKey = MINE) -> None:
    """Writes evidence of a token, part after part."""
    for part in parts:
        with engine.begin() as connection:
            write_tokens(connection, tokens={}, evidence={key: part})


def read(engine: Engine, key: TokenKey = MINE) -> Evidence:
    with engine.connect() as connection:
        return read_tokens(connection, [key]).known[key].evidence


def describe(engine: Engine, *described: FetchedMetadata, key: TokenKey = MINE) -> TokenStore:
    """Writes metadata of a token, and reads what is stored then."""
    for what in described:
        with engine.begin() as connection:
            write_tokens(connection, tokens={key: what}, evidence={})
    with engine.connect() as connection:
        return read_tokens(connection, [key])


FULL = evidence(
    quote("binance", "2500.1", change="-1.5", at_par=True),
    quote("coingecko", "0.000000000000000000000000000000000017", read=AN_HOUR, said=2 * AN_HOUR),
    quote("dexscreener", "1E-70", change="0"),
    quote("defillama", "123456789E+60", said=NOW),
    quote("alchemy", "1.50"),
    depth=depth(DEEP, "50000.5"),
    accepted=("2499", AN_HOUR),
)


@pytest.mark.parametrize(
    "known",
    [
        FULL,
        evidence(asked=A_DAY),
        evidence(depth=depth(THIN, "0")),
        evidence(depth=depth(UNKNOWN)),
        evidence(quote("alchemy"), accepted=("3", NOW)),
        Evidence({}, {}, None, FULL.accepted),
    ],
    ids=["everything", "an answer", "a thin depth", "an unknown depth", "a quote", "an accepted price"],
)
def test_what_is_written_is_read_back(engine: Engine, known: Evidence) -> None:
    write(engine, known)
    assert read(engine) == known


def test_a_token_of_which_nothing_is_stored_has_an_entry_of_nothing(engine: Engine) -> None:
    with engine.connect() as connection:
        book = read_tokens(connection, [MINE, key_of(8, 137)])
        assert read_tokens(connection, []) == TokenStore({}, {}, set(), {})
    assert book == TokenStore({}, {}, set(), {MINE: Known(), key_of(8, 137): Known()})


def test_many_tokens_are_read_and_written_in_a_round_trip_each(engine: Engine) -> None:
    keys = [key_of(number, chain_id) for number in range(40) for chain_id in (1, 137)]
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    tokens = {key: FetchedMetadata(TokenInfo(f"T{n}", "Token", n % 19, None), "alchemy") for n, key in enumerate(keys)}
    with engine.begin() as connection:
        write_tokens(connection, tokens=tokens, evidence=dict.fromkeys(keys, FULL))
        book = read_tokens(connection, keys)
    assert len(statements) == 2
    assert book.tokens == {key: what.info for key, what in tokens.items()}
    assert book.known == dict.fromkeys(keys, Known(None, FULL))


def test_what_lists_say_comes_along(engine: Engine) -> None:
    weth = TokenKey(1, ETHEREUM.wrapped_native)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO token_registry (chain_id, token_address, symbol, name, logo_url, coingecko_id, lists) "
            "VALUES (1, %s, 'TKN', NULL, 'https://logos.test/r.png', 'some-coin', '{aave,coingecko}')",
            (MINE.address,),
        )
        write_tokens(connection, tokens={}, evidence={MINE: FULL})
        known = read_tokens(connection, [MINE, weth]).known
        assert logo_url_of(connection, *MINE) == "https://logos.test/r.png"
        assert logo_url_of(connection, *key_of(9)) is None
    listing = Listing("TKN", None, "https://logos.test/r.png", "some-coin", ("aave", "coingecko"))
    assert known[MINE] == Known(listing, FULL)
    shipped = known[weth].listing
    assert shipped is not None
    assert (shipped.symbol, shipped.coingecko_id) == ("WETH", "weth")


# -- of each datum the latest


def test_an_answer_without_a_price_erases_none(engine: Engine) -> None:
    write(engine, FULL)
    for source in ASKED_SOURCES:
        write(engine, found(source, NOON + AN_HOUR))
    assert read(engine) == FULL._replace(answered=dict.fromkeys(ASKED_SOURCES, NOON + AN_HOUR))


def test_what_was_read_before_does_not_replace_what_was_read_after(engine: Engine) -> None:
    earlier = [quote("alchemy", "9", read=AN_HOUR), quote("coingecko", "9", read=2 * AN_HOUR)]
    write(engine, FULL, evidence(*earlier, depth=depth(THIN, "1", read=AN_HOUR), accepted=("9", A_DAY)))
    assert read(engine) == FULL


def test_each_datum_has_its_own_age(engine: Engine) -> None:
    newer_quote = evidence(quote("dexscreener", "2"), depth=depth(DEEP, "70000", read=AN_HOUR))
    newer_depth = evidence(quote("dexscreener", "1", read=AN_HOUR), depth=depth(THIN, "3"))
    together = evidence(quote("dexscreener", "2"), depth=depth(THIN, "3"))
    write(engine, newer_quote, newer_depth)
    assert read(engine) == together
    write(engine, newer_depth, newer_quote, key=key_of(8))
    assert read(engine, key_of(8)) == together


@pytest.mark.parametrize(
    ("before", "after", "stays"),
    [
        (depth(DEEP, read=AN_HOUR), depth(UNKNOWN), DEEP),
        (depth(DEEP, read=9 * A_DAY), depth(UNKNOWN), DEEP),
        (depth(THIN, "3", read=9 * A_DAY), depth(UNKNOWN), THIN),
        (depth(UNKNOWN, read=AN_HOUR), depth(THIN, "3"), THIN),
        (depth(DEEP, read=AN_HOUR), depth(THIN, "3"), THIN),
        (depth(THIN, "3", read=AN_HOUR), depth(DEEP), DEEP),
    ],
)
def test_a_depth_that_nobody_knew_replaces_none_that_is_believed(engine: Engine, before, after, stays) -> None:
    for order in ((before, after), (after, before)):
        key = key_of(next(_numbers))
        write(engine, *(evidence(depth=pools) for pools in order), key=key)
        known = read(engine, key).depth
        assert known in (before, after)
        assert known.state is stays


def _at_a_time_of_its_own(part: Evidence, n: int) -> Evidence:
    """Evidence of pools, of which no datum has the time of one of another part: an answer has one time."""
    by, dex = timedelta(seconds=n), PriceSource.DEXSCREENER
    return Evidence(
        {source: said._replace(read_at=said.read_at - by) for source, said in part.quotes.items()},
        {source: at - by for source, at in (part.answered | {dex: part.answered.get(dex, NOON)}).items()},
        part.depth._replace(at=part.depth.at - by) if part.depth else None,
        part.accepted._replace(at=part.accepted.at - by) if part.accepted else None,
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(stored_evidences, min_size=2, max_size=3))
def test_the_server_merges_as_the_domain_does(engine: Engine, parts: list[Evidence]) -> None:
    parts = [_at_a_time_of_its_own(part, n) for n, part in enumerate(parts)]
    key = key_of(next(_numbers))
    write(engine, *parts, key=key)
    assert read(engine, key) == reduce(merge, parts)


@pytest.mark.parametrize("first_is_newer", [True, False])
def test_two_who_write_at_one_time_keep_the_latest_of_each(engine: Engine, first_is_newer: bool) -> None:
    new = evidence(quote("alchemy", "2"), quote("dexscreener", "2", read=AN_HOUR), depth=depth(THIN, "3", read=AN_HOUR))
    old = evidence(
        quote("alchemy", "1", read=AN_HOUR), quote("dexscreener", "1"), depth=depth(DEEP), accepted=("1", NOW)
    )
    first, second = (new, old) if first_is_newer else (old, new)
    with engine.connect() as one, engine.connect() as other, ThreadPoolExecutor(1) as beside:
        transaction = one.begin()
        write_tokens(one, tokens={}, evidence={MINE: first})

        def write_beside() -> None:
            with other.begin():
                write_tokens(other, tokens={}, evidence={MINE: second})

        writing = beside.submit(write_beside)
        wait_until_blocked(engine)
        transaction.commit()
        writing.result(10)
    assert read(engine) == merge(old, new) == merge(new, old)


def wait_until_blocked(engine: Engine) -> None:
    """Waits until a statement waits for a lock of another."""
    blocked = (
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0"
    )
    until = monotonic() + 10
    with autocommit(engine) as connection:
        while not connection.exec_driver_sql(blocked).all():
            assert monotonic() < until, "Nobody waits."


def test_two_who_write_of_the_same_tokens_in_other_orders_wait_for_nobody_in_a_ring(engine: Engine) -> None:
    keys = [key_of(number) for number in range(200)]

    def write_all(order: list[TokenKey], usd: str) -> None:
        for n in range(5):
            known = evidence(quote("alchemy", usd, read=timedelta(seconds=-n)))
            with engine.begin() as connection:
                write_tokens(connection, tokens={}, evidence=dict.fromkeys(order, known))

    with ThreadPoolExecutor(2) as threads:
        for writing in [threads.submit(write_all, keys, "1"), threads.submit(write_all, keys[::-1], "2")]:
            writing.result(60)


# -- metadata

LACKING, WHOLE = TokenInfo(None, "Token", None), TokenInfo("TKN", "Token", 6)


def read_at(connection: Connection) -> datetime:
    return connection.exec_driver_sql("SELECT read_at FROM token_metadata").scalar_one()


def test_metadata_that_lacks_something_says_how_often_it_was_asked_for(engine: Engine) -> None:
    first = describe(engine, FetchedMetadata(LACKING, "alchemy", 1))
    assert first.tokens == {MINE: LACKING}
    assert first.incomplete[MINE].tries == 1
    again = describe(engine, FetchedMetadata(LACKING, "alchemy", 2))
    assert again.incomplete[MINE].tries == 2
    assert again.incomplete[MINE].read_at > first.incomplete[MINE].read_at
    whole = describe(engine, FetchedMetadata(WHOLE, "rpc"))
    assert (whole.tokens, whole.incomplete) == ({MINE: WHOLE}, {})


@pytest.mark.parametrize(
    ("info", "is_incomplete"),
    [
        (TokenInfo("TKN", None, 0), False),
        (TokenInfo(None, "Token", 18), False),
        (TokenInfo(None, None, 18), True),
        (TokenInfo("", "", 18), True),
        (TokenInfo("TKN", "Token", None), True),
    ],
)
def test_a_position_needs_decimals_and_a_name(engine: Engine, info: TokenInfo, is_incomplete: bool) -> None:
    assert (MINE in describe(engine, FetchedMetadata(info, "alchemy", int(is_incomplete))).incomplete) == is_incomplete


def test_metadata_that_did_not_change_is_not_written_again(engine: Engine) -> None:
    describe(engine, FetchedMetadata(WHOLE, "alchemy"))
    with engine.connect() as connection:
        before = read_at(connection)
    describe(engine, FetchedMetadata(WHOLE, "rpc"))
    with engine.connect() as connection:
        assert read_at(connection) == before
    describe(engine, FetchedMetadata(WHOLE._replace(logo_url="https://logos.test/1.png"), "rpc"))
    with engine.connect() as connection:
        assert read_at(connection) > before
        assert logo_url_of(connection, *MINE) == "https://logos.test/1.png"
