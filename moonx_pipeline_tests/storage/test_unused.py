"""What goes when nobody uses it, against a real server."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.protection.breaker_rows import Report, breakers, report
from moonx_pipeline.storage.protection.rate_limits import Limit, block, take
from moonx_pipeline.storage.requests.queue import add_request
from moonx_pipeline.storage.upkeep.garbage import inactive_users, prune_breakers, prune_limits, prune_tokens
from moonx_pipeline_tests.support.holdings import write
from moonx_pipeline_tests.support.rows import begin, position, register, token
from moonx_pipeline_tests.support.sql import CUT, execute, rows


def test_tokens_that_nobody_holds_are_forgotten_when_they_were_not_read_for_long(engine: Engine) -> None:
    register(engine, "ann")
    write(engine, "ann", position(1))
    old = CUT - timedelta(days=1)
    for number, answered, named in ((1, old, old), (2, old, old), (3, CUT, old), (4, None, old), (5, None, CUT)):
        execute(
            engine,
            "INSERT INTO token_metadata (chain_id, token_address, source, read_at) VALUES (1, %s, 'alchemy', %s)",
            (token(number), named),
        )
        if answered:
            said(engine, 1, token(number), "dexscreener", answered)
            said(engine, 1, token(number), "alchemy", old)
            said(engine, 1, token(number), "accepted", old)
    said(engine, 137, token(1), "dexscreener", old)  # the token that ann holds, on a chain where nobody does

    assert prune_tokens(engine, CUT) == (4, 2)
    # Of a token that any source spoke of lately all stays.
    assert rows(engine, "SELECT DISTINCT chain_id, token_address FROM token_evidence ORDER BY 2") == [
        (1, token(1)),
        (1, token(3)),
    ]
    assert rows(engine, "SELECT count(*) FROM token_evidence") == [(6,)]
    assert rows(engine, "SELECT token_address FROM token_metadata ORDER BY 1") == [
        (token(1),),
        (token(3),),
        (token(5),),
    ]


def said(engine: Engine, chain_id: int, address: str, source: str, at: datetime) -> None:
    """Stores that a source answered about a token."""
    execute(
        engine,
        "INSERT INTO token_evidence (chain_id, token_address, source, answered_at) VALUES (%s, %s, %s, %s)",
        (chain_id, address, source, at),
    )


def test_limits_of_users_go_once_nothing_of_them_counts_any_more(engine: Engine) -> None:
    window = timedelta(minutes=15)
    with autocommit(engine) as connection:
        for key in (
            "user:ann:sync",
            "user:a:b:sync",
            "user:ann:wallets",
            "user:blocked:sync",
            "user:held:sync",
            "alchemy",
            "user:ann:login",
        ):
            take(connection, [Limit(key, 1, 5, window)])
        block(connection, "user:blocked:sync", wait=timedelta(days=9), reason="too many")
    now = datetime.now(UTC)

    assert prune_limits(engine, now - timedelta(hours=1)) == 0
    with engine.begin() as other:
        other.exec_driver_sql("SELECT 1 FROM rate_limits WHERE key = 'user:held:sync' FOR UPDATE")
        assert prune_limits(engine, now + timedelta(hours=1)) == 3

    left = {"user:blocked:sync", "user:held:sync", "alchemy", "user:ann:login"}
    assert {row[0] for row in rows(engine, "SELECT key FROM rate_limits")} == left


def test_breakers_of_users_go_once_they_are_long_closed_and_count_nothing(engine: Engine) -> None:
    with engine.begin() as connection:
        for key in ("user:well", "user:failing", "user:open", "binance"):
            report(connection, [Report(key, 0, "failure", "down", timedelta(minutes=1))], 2)
        report(connection, [Report("user:open", 0, "failure", "down", timedelta(minutes=1))], 2)
        report(connection, [Report("user:well", 0, "ok"), Report("binance", 0, "ok")], 2)
    now = datetime.now(UTC)

    assert prune_breakers(engine, now - timedelta(hours=1)) == 0
    assert prune_breakers(engine, now + timedelta(hours=1)) == 1
    with engine.connect() as connection:
        assert {row.key for row in breakers(connection)} == {"user:failing", "user:open", "binance"}


def test_inactive_are_those_who_did_nothing_for_long_or_have_no_wallets(engine: Engine) -> None:
    names = ["active", "asleep", "asked", "syncing", "never", "new", "gone"]
    for name in names:
        register(engine, name)
    long_ago = CUT - timedelta(days=1)
    execute(engine, "UPDATE user_sync_status SET last_active_at = %s, created_at = %s", (CUT, long_ago))
    execute(
        engine,
        "UPDATE user_sync_status SET last_active_at = %s WHERE user_id = ANY(%s)",
        (long_ago, ["asleep", "asked", "syncing"]),
    )
    execute(engine, "UPDATE user_sync_status SET last_active_at = NULL WHERE user_id IN ('never', 'new')")
    execute(engine, "UPDATE user_sync_status SET created_at = %s WHERE user_id = 'new'", (CUT,))
    execute(engine, "DELETE FROM user_wallets WHERE user_id = 'gone'")
    with engine.begin() as connection:
        add_request(connection, "asked", source="api", priority="high")
    begin(engine, "syncing")

    with engine.connect() as connection:
        found = inactive_users(connection, [*names, "nobody"], CUT, 100)
        first = inactive_users(connection, [*names, "nobody"], CUT, 1)

    assert set(found) == {"asleep", "never", "gone", "nobody"}
    assert first == ["nobody"]
