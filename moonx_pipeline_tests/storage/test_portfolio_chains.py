"""What is stored is shown on whatever known chain it is, also where that chain is not read any more."""

from __future__ import annotations

from decimal import Decimal

import pytest
from rich.console import Console
from sqlalchemy import Engine

from moonx_pipeline.domain.chains import DEFAULT_CHAINS, KNOWN_CHAINS
from moonx_pipeline.settings import Settings
from moonx_pipeline.storage.portfolios.holdings import write_holdings
from moonx_pipeline.storage.portfolios.portfolio import StoredPortfolio, read_portfolio
from moonx_pipeline.storage.portfolios.users import add_wallets
from moonx_pipeline.views.portfolio import portfolio_json
from moonx_pipeline.views.tables import portfolio_table
from moonx_pipeline_tests.support.rows import NOON, WALLET, position


@pytest.fixture
def everywhere(engine: Engine) -> StoredPortfolio:
    """The portfolio of a wallet that was read on every known chain, the last of them first."""
    with engine.begin() as connection:
        add_wallets(connection, "ann", (WALLET,))
        for chain in reversed(KNOWN_CHAINS):
            connection.exec_driver_sql(
                "INSERT INTO user_chain_status (user_id, wallet_address, chain_id, status, last_success_at) "
                "VALUES ('ann', %s, %s, 'fresh', %s)",
                (WALLET, chain.id, NOON),
            )
        write_holdings(connection, {"ann": [position(1, chain_id=chain.id) for chain in KNOWN_CHAINS]})
        stored = read_portfolio(connection, "ann")
    assert stored is not None
    return stored


def test_chains_come_in_the_order_of_display_each_by_its_name(everywhere: StoredPortfolio) -> None:
    shown = portfolio_json(everywhere)["chains"]

    assert [(chain["chainId"], chain["name"]) for chain in shown] == [(c.id, c.name) for c in KNOWN_CHAINS]


def test_positions_on_chains_that_are_not_read_any_more_are_shown_and_counted(everywhere: StoredPortfolio) -> None:
    assert Settings.from_environment({}).chains == DEFAULT_CHAINS != KNOWN_CHAINS

    data = portfolio_json(everywhere)

    assert {p["chainId"] for p in data["positions"]} == {chain.id for chain in KNOWN_CHAINS}
    assert Decimal(data["totalValueUsd"]) == Decimal("3.75") * len(KNOWN_CHAINS)


def test_a_terminal_shows_every_chain_by_its_name(everywhere: StoredPortfolio) -> None:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(portfolio_table(everywhere))

    assert [chain.name for chain in KNOWN_CHAINS if chain.name not in capture.get()] == []
