"""``moonx portfolio``: shows a user's portfolio as a table, JSON or CSV."""

from __future__ import annotations

import json

import click

from moonx_pipeline.errors import OperatorError, WrongUse
from moonx_pipeline.storage.portfolios.portfolio import StoredPortfolio


@click.command()
@click.argument("user_id", metavar="USER")
@click.option("--json", "as_json", is_flag=True, help="The data of GET /api/v1/portfolio.")
@click.option("--csv", "as_csv", is_flag=True, help="One line a position.")
@click.option("--spam", is_flag=True, help="Show what is hidden as spam, too.")
def portfolio(user_id: str, as_json: bool, as_csv: bool, spam: bool) -> None:
    """Show USER's portfolio as it is stored."""
    if as_json and as_csv:
        raise WrongUse("--json and --csv are two answers: give one of them.")
    from moonx_pipeline.settings import load_settings
    from moonx_pipeline.storage.connection.engine import ready_engine
    from moonx_pipeline.storage.portfolios.portfolio import read_portfolio
    from moonx_pipeline.views.csv import positions_csv
    from moonx_pipeline.views.portfolio import portfolio_json

    engine = ready_engine(load_settings())
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        stored = read_portfolio(connection, user_id)
    if stored is None:
        raise OperatorError(f"There is no user '{user_id}': 'moonx user list' shows who there is.")
    data = portfolio_json(stored, include_spam=spam)
    if as_json:
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
    elif as_csv:
        click.echo(positions_csv(data["positions"]), nl=False)
    else:
        _print_table(stored, spam)


def _print_table(stored: StoredPortfolio, spam: bool) -> None:
    from rich.console import Console

    from moonx_pipeline.views.tables import portfolio_table

    Console().print(portfolio_table(stored, include_spam=spam))
