"""History that is packed is the same, is thinned by the same rule, and goes with its wallet."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import NamedTuple
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from moonx_pipeline.storage.packs.history_packs import unpack_history
from moonx_pipeline.storage.portfolios.series import read_series
from moonx_pipeline.storage.portfolios.users import remove_user, set_wallets
from moonx_pipeline.storage.upkeep import pack_history as packing
from moonx_pipeline.storage.upkeep.history import thin_history
from moonx_pipeline.storage.upkeep.pack_history import ENOUGH, drop_packs, pack_history, thin_packs
from moonx_pipeline_tests.fixtures.dagster import eventually
from moonx_pipeline_tests.support.rows import register, token
from moonx_pipeline_tests.support.sql import execute, rows

NOW = datetime(2026, 3, 15, 10, 20, tzinfo=UTC)
DAY = timedelta(days=1)
MIDNIGHT = NOW.replace(hour=0, minute=0)
WALLETS = ["0x" + "a" * 40, "0x" + "b" * 40]


class Row(NamedTuple):
    wallet: str
    number: int
    amount: Decimal | None = Decimal("1.50")
    price: Decimal | None = Decimal("2.25")
    value: Decimal | None = Decimal("3.3750")
    in_total: bool = True


def store(engine: Engine, at: datetime, *its: Row, user_id: str = "ann", operation: UUID | None = None) -> None:
    """A snapshot; without rows, of one position in each wallet."""
    operation = operation or uuid4()
    with engine.begin() as connection:
        for row in its or [Row(wallet, number) for number, wallet in enumerate(WALLETS)]:
            connection.exec_driver_sql(
                "INSERT INTO user_token_holdings_history (user_id, wallet_address, chain_id, token_address, "
                "token_symbol, balance, balance_formatted, price_usd, value_usd, in_total, snapshot_type, "
                "sync_operation_id, created_at) VALUES (%s, %s, 1, %s, 'A \"B\"', 150, %s, %s, %s, %s, 'sync', %s, %s)",
                (
                    user_id, row.wallet, token(row.number), row.amount, row.price, row.value, row.in_total, operation,
                    at,
                ),
            )  # fmt: skip


def plain(engine: Engine) -> list[tuple]:
    """Rows that are not packed, as a pack has them."""
    return rows(
        engine,
        "SELECT user_id, wallet_address, created_at, sync_operation_id::text, snapshot_type, chain_id, token_address, "
        "token_symbol, balance::text, balance_formatted::text, price_usd::text, value_usd::text, in_total "
        "FROM user_token_holdings_history ORDER BY 1, 2, 3, 4, 7",
    )


def packed(engine: Engine) -> list[tuple]:
    found = []
    for user_id, wallet, *pack in rows(
        engine,
        "SELECT user_id, wallet_address, created_at, operation_ids::text[], totals, snapshots FROM history_packs",
    ):
        for snapshot in unpack_history(*pack):
            for position in json.loads(snapshot.positions, parse_float=str, parse_int=str):
                kind, chain, address, symbol, balance, amount, price, value, in_total = position
                if value is True:
                    value = None if None in (amount, price) else str(Decimal(amount) * Decimal(price))
                found.append(
                    (user_id, wallet, snapshot.at, snapshot.operation_id, kind, int(chain), address, symbol, balance,
                     amount, price, value, in_total)
                )  # fmt: skip
    return sorted(found, key=lambda row: (*row[:4], row[6]))


def snapshots(found: Iterable[tuple]) -> set[tuple]:
    return {row[:4] for row in found}


def pack(engine: Engine, before: datetime = MIDNIGHT) -> int:
    return sum(pack_history(engine, before))


@pytest.fixture
def ann(engine: Engine) -> Engine:
    register(engine, "ann", *WALLETS)
    return engine


def test_positions_come_out_as_they_were_stored(ann: Engine) -> None:
    store(ann, NOW - DAY)
    store(
        ann,
        NOW - DAY + timedelta(minutes=5),
        Row(WALLETS[0], 1, None, None, None),
        Row(WALLETS[0], 2, Decimal(1), None, None),
        Row(WALLETS[0], 3, Decimal(2), Decimal(3), Decimal(7), in_total=False),
        Row(WALLETS[0], 4, Decimal(2), Decimal(3), None),
        Row(WALLETS[1], 5, Decimal("0.000000000000000001"), Decimal("66488.7268652832716102299"), None),
    )
    before = plain(ann)

    assert pack(ann) == len(before)
    assert (plain(ann), packed(ann)) == ([], before)
    assert pack(ann) == 0


def test_hours_that_go_on_and_wallets_that_nobody_has_stay_plain(ann: Engine) -> None:
    for minutes in range(ENOUGH):
        store(ann, MIDNIGHT + timedelta(minutes=minutes * 5))
    later = MIDNIGHT + timedelta(hours=9)
    store(ann, later)
    store(ann, NOW - 3 * DAY, Row("0x" + "c" * 40, 1))

    assert pack(ann, later - timedelta(hours=8)) == 0  # too few hours for a pack
    assert pack(ann, later + timedelta(minutes=59)) == 2 * ENOUGH
    assert {row[2] for row in plain(ann)} == {later, NOW - 3 * DAY}


_TIMES = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob"]),
        st.integers(0, 40 * 24 * 6),  # ten minutes each
        st.sampled_from([[0], [1], [0, 1]]),
    ),
    max_size=30,
    unique_by=lambda snapshot: snapshot[:2],
)


@pytest.mark.slow
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(past=_TIMES, first=st.integers(0, 40), nights=st.lists(st.integers(0, 35), max_size=2))
def test_packs_are_thinned_as_rows_are_and_a_chart_is_the_same(
    engine: Engine, past: list, first: int, nights: list[int]
) -> None:
    execute(engine, "TRUNCATE user_token_holdings_history, history_thinning, history_packs")
    for user in ("ann", "bob"):
        register(engine, user, *WALLETS)
    for user, ago, wallets in past:
        at = NOW - timedelta(minutes=10 * ago)
        store(engine, at, *[Row(WALLETS[n], n) for n in wallets], user_id=user)

    def charts() -> list:
        with engine.connect() as connection:
            return [
                read_series(connection, user, days=days, now=NOW) for user in ("ann", "bob") for days in (1, 7, 30, 90)
            ]

    as_it_was, kept = charts(), plain(engine)
    pack(engine, MIDNIGHT - first * DAY)
    pack(engine)
    assert charts() == as_it_was
    assert sorted([*plain(engine), *packed(engine)]) == sorted(kept)

    for days in [*nights, 0]:
        hourly, daily = MIDNIGHT - (days + 2) * DAY, MIDNIGHT - (days + 30) * DAY
        sum(thin_packs(engine, hourly_before=hourly, daily_before=daily))
    of_packs, thinned = snapshots([*packed(engine), *plain(engine)]), charts()
    execute(engine, "TRUNCATE user_token_holdings_history, history_packs")
    for row in kept:
        n = WALLETS.index(row[1])
        store(engine, row[2], Row(row[1], n), user_id=row[0], operation=UUID(row[3]))
    for days in [*nights, 0]:
        hourly, daily = MIDNIGHT - (days + 2) * DAY, MIDNIGHT - (days + 30) * DAY
        sum(thin_history(engine, hourly_before=hourly, daily_before=daily, oldest=(NOW - 60 * DAY).date()))

    assert of_packs == snapshots(plain(engine))
    assert thinned == charts()


def test_a_removed_wallet_takes_its_packs_and_a_removed_user_all(ann: Engine) -> None:
    register(ann, "bob", WALLETS[0])
    store(ann, NOW - DAY)
    store(ann, NOW - DAY, Row(WALLETS[0], 1), user_id="bob")
    pack(ann)

    with ann.begin() as connection:
        set_wallets(connection, "ann", WALLETS[:1], is_base=lambda _: True)
    assert {row[:2] for row in packed(ann)} == {("ann", WALLETS[0]), ("bob", WALLETS[0])}
    with ann.begin() as connection:
        remove_user(connection, "ann")
    assert {row[0] for row in packed(ann)} == {"bob"}


def _assert_waiting(engine: Engine) -> None:
    assert rows(
        engine, "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )


def test_a_user_who_is_removed_while_his_history_is_packed_leaves_nothing(ann: Engine) -> None:
    store(ann, NOW - DAY)

    def remove() -> None:
        with ann.begin() as connection:
            remove_user(connection, "ann")

    remover = threading.Thread(target=remove)
    with ann.begin() as connection:
        assert packing._pack(connection, "", before=MIDNIGHT) == (2, None)
        remover.start()
        eventually(partial(_assert_waiting, ann))
    remover.join()

    assert (plain(ann), packed(ann)) == ([], [])


def test_packed_days_go_with_their_month(ann: Engine) -> None:
    store(ann, NOW - 40 * DAY)
    store(ann, NOW - DAY)
    pack(ann)

    assert sum(drop_packs(ann, (NOW - 10 * DAY).date())) == 2
    assert {row[2] for row in packed(ann)} == {NOW - DAY}
