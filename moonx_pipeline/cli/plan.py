"""``moonx plan``: what so many users cost a month, by each way of reading balances."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import click

from moonx_pipeline.cli.terminal import echo, open_console, print_rows

if TYPE_CHECKING:
    from moonx_pipeline.sync.balances.costs import Fleet, PriceStep, WayCost

_CENT = Decimal("0.01")


@click.command()
@click.argument("users", type=click.IntRange(1))
@click.option("--tokens", type=click.IntRange(0), default=25, show_default=True, help="Of a wallet, over all chains.")
@click.option("--wallets", type=click.IntRange(1), default=1, show_default=True, help="Of a user.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def plan(users: int, tokens: int, wallets: int, as_json: bool) -> None:
    """Show what keeping USERS fresh around the clock takes of Alchemy in a month, by each way of reading balances.

    Syncs that people ask for, names and prices of new tokens, and other providers come on top. Chains, intervals, batch
    size and prices are those of the settings.
    """
    from moonx_pipeline.settings import load_settings
    from moonx_pipeline.sync.balances.costs import Fleet, PriceStep, by_lists, in_bulk
    from moonx_pipeline.sync.intervals import intervals_of

    settings = load_settings()
    periodic = settings.periodic
    fleet = Fleet(
        users,
        wallets,
        tokens,
        len(settings.chains),
        intervals_of(periodic),
        timedelta(milliseconds=periodic.full_read_ms),
        periodic.batch_size,
    )
    ways = {"in bulk": in_bulk(fleet), "lists only": by_lists(fleet)}
    steps = [PriceStep(*step) for step in settings.alchemy.price_steps]
    if as_json:
        database = {
            "rowsASyncAtMost": str(fleet.rows_a_sync),
            "rowsAMonthAtMost": f"{fleet.rows_a_month:.0f}",
            "megabytesKept": f"{fleet.database_mb:.0f}",
        }
        by_way = {name.replace(" ", "_"): _as_json(way, steps) for name, way in ways.items()}
        echo(json.dumps({**by_way, "database": database}, indent=2))
    else:
        _print(fleet, ways, steps, settings.alchemy.max_compute_units)


def _as_json(way: WayCost, steps: list[PriceStep]) -> dict[str, str]:
    from moonx_pipeline.sync.balances.costs import price_of

    return {
        "computeUnitsASweep": f"{way.sweep.compute_units:.2f}",
        "computeUnitsAMonth": f"{way.a_month.compute_units:.0f}",
        "callsAMonth": f"{way.a_month.calls:.0f}",
        "usdAMonth": str(price_of(way.a_month.compute_units, steps).quantize(_CENT)),
        "computeUnitsASecond": f"{way.units_a_second:.1f}",
    }


def _print(fleet: Fleet, ways: dict[str, WayCost], steps: list[PriceStep], most_a_second: int) -> None:
    from moonx_pipeline.sync.balances.costs import price_of

    console = open_console()
    wallets = "1 wallet" if fleet.wallets == 1 else f"{fleet.wallets} wallets"
    console.print(
        f"{fleet.users:,} users with {wallets} of {fleet.tokens} tokens on {fleet.chains} chains, read "
        f"{fleet.sweeps_a_day:.0f} times a day:"
    )
    headings = ["way", "CU a user and sweep", "million CU a month", "USD a month", "calls a month", "CU/s at most"]
    rows = [
        [
            name,
            f"{way.sweep.compute_units:.2f}",
            f"{way.a_month.compute_units / 1_000_000:,.1f}",
            f"{price_of(way.a_month.compute_units, steps):,.2f}",
            f"{way.a_month.calls:,.0f}",
            f"{way.units_a_second:,.0f}",
        ]
        for name, way in ways.items()
    ]
    rows.append(["your own nodes", "0", "0", "0", "", ""])
    print_rows(console, headings, rows)
    console.print(
        f"In PostgreSQL, where all prices move between all syncs: {fleet.rows_a_sync:,} rows a sync, "
        f"{fleet.rows_a_month / 1_000_000:,.1f} million a month; about {fleet.database_mb / 1000:,.1f} GB kept."
    )
    for name, way in ways.items():
        if way.units_a_second > most_a_second:
            console.print(
                f"{name}: more than ALCHEMY_MAX_COMPUTE_UNITS_PER_SECOND ({most_a_second:,}) allows; users would wait "
                "longer than their interval."
            )
