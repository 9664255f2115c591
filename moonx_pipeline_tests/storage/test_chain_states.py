"""The state of each chain, over all wallets of a user."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from moonx_pipeline.storage.portfolios.portfolio import read_portfolio
from moonx_pipeline_tests.support.rows import OTHER_WALLET, WALLET, register

_ADD = (
    "INSERT INTO user_chain_status (user_id, wallet_address, chain_id, status, last_success_at, last_attempt_at, "
    "error, error_code) VALUES ('ann', %s, 137, 'stale', now(), now(), %s, %s)"
)


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [
        (("It took too long.", "timeout"), ("It is down.", "unavailable"), ("It is down.", "unavailable")),
        ((None, None), ("It took too long.", "timeout"), ("It took too long.", "timeout")),
        (("It took too long.", None), (None, None), ("It took too long.", None)),
        ((None, None), (None, None), (None, None)),
    ],
)
def test_chain_of_two_wallets_has_a_reason_and_the_code_of_that_reason(
    engine: Engine,
    first: tuple[str | None, str | None],
    second: tuple[str | None, str | None],
    shown: tuple[str | None, str | None],
) -> None:
    register(engine, "ann", WALLET, OTHER_WALLET)
    with engine.begin() as connection:
        for wallet, reason in ((WALLET, first), (OTHER_WALLET, second)):
            connection.exec_driver_sql(_ADD, (wallet, *reason))

        stored = read_portfolio(connection, "ann")

    assert stored is not None
    assert [(chain.error, chain.error_code) for chain in stored.chains] == [shown]
