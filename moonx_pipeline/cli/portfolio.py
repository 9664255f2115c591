"""``moonx portfolio``: a user's portfolio as a table, JSON or CSV."""

from __future__ import annotations

import csv
import json
import sys
from typing import Any

import click

from moonx_pipeline.errors import OperatorError, WrongUse
from moonx_pipeline.storage.portfolio import StoredPortfolio


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
    from moonx_pipeline.storage.database import ready_engine
    from moonx_pipeline.storage.portfolio import read_portfolio
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
        _write_csv(data["positions"])
    else:
        _print_table(stored, spam)


def _write_csv(positions: list[dict[str, Any]]) -> None:
    columns = list(positions[0]) if positions else ["walletAddress", "chainId", "tokenAddress", "balance"]
    writer = csv.writer(sys.stdout)
    writer.writerow(columns)
    for position in positions:
        writer.writerow([_cell(column, position[column]) for column in columns])


def _cell(column: str, value: Any) -> Any:
    """A value for a spreadsheet; a token's name that it would take for a formula is quoted."""
    if isinstance(value, list):
        return " ".join(value)
    if column in ("symbol", "name", "logoUrl") and value and value.lstrip()[:1] in ("=", "+", "-", "@"):
        return "'" + value
    return value


def _print_table(stored: StoredPortfolio, spam: bool) -> None:
    from rich.console import Console

    from moonx_pipeline.views.tables import portfolio_table

    Console().print(portfolio_table(stored, include_spam=spam))
