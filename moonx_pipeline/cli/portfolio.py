"""``moonx portfolio``: shows a user's portfolio as a table, JSON or CSV."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from moonx_pipeline.cli.terminal import echo, echo_exactly, open_console
from moonx_pipeline.domain.show import visible
from moonx_pipeline.errors import OperatorError, WrongUse


@click.command()
@click.argument("user_id", metavar="USER")
@click.option("--json", "as_json", is_flag=True, help="The data of GET /api/v1/portfolio.")
@click.option("--csv", "as_csv", is_flag=True, help="One line a position.")
@click.option("--spam", is_flag=True, help="Show what is hidden as spam, too.")
@click.option("--all", "everything", is_flag=True, help="In the table, a line for each token without a value, too.")
def portfolio(user_id: str, as_json: bool, as_csv: bool, spam: bool, everything: bool) -> None:
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
        echo(json.dumps(data, indent=2, ensure_ascii=False))
    elif as_csv:
        is_shown = sys.stdout.isatty()
        echo_exactly(positions_csv([_visible(p) for p in data["positions"]] if is_shown else data["positions"]))
    else:
        from moonx_pipeline.views.tables import portfolio_table

        open_console().print(portfolio_table(stored, include_spam=spam, fold=not everything))


def _visible(position: dict[str, Any]) -> dict[str, Any]:
    """A position whose texts can be shown on a terminal, and are no more what was stored."""
    return {name: visible(value) if isinstance(value, str) else value for name, value in position.items()}
