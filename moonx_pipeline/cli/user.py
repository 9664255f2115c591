"""``moonx user``: registers, lists and removes users and their wallets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from moonx_pipeline.cli.terminal import echo
from moonx_pipeline.domain.addresses import InvalidAddress, parse_address
from moonx_pipeline.domain.users import InvalidUserId, parse_user_id
from moonx_pipeline.errors import OperatorError, WrongUse

if TYPE_CHECKING:
    import dagster as dg


@click.group()
def user() -> None:
    """Register users and their wallets."""


def _checked_wallets(addresses: tuple[str, ...]) -> list[str]:
    wallets, problems = [], []
    for address in addresses:
        try:
            wallets.append(parse_address(address))
        except InvalidAddress as problem:
            problems.append(str(problem))
    if problems:
        raise WrongUse(" ".join(problems) + " Nothing was registered.")
    return list(dict.fromkeys(wallets))


@user.command()
@click.argument("user_id", metavar="USER")
@click.argument("addresses", metavar="ADDRESS...", nargs=-1, required=True)
def add(user_id: str, addresses: tuple[str, ...]) -> None:
    """Register wallets of USER; with mixed case, their EIP-55 checksum must be right."""
    try:
        parse_user_id(user_id)
    except InvalidUserId as problem:
        raise WrongUse(str(problem)) from None
    wallets = _checked_wallets(addresses)
    from moonx_pipeline.settings import load_settings
    from moonx_pipeline.storage.connection.engine import ready_engine
    from moonx_pipeline.storage.portfolios.users import MAX_WALLETS, add_wallets, wallets_of

    engine = ready_engine(load_settings())
    with engine.begin() as connection:
        new = add_wallets(connection, user_id, wallets)
        count = len(wallets_of(connection, user_id))
        if count > MAX_WALLETS:
            raise WrongUse(
                f"User '{user_id}' would have {count} wallets, but {MAX_WALLETS} are the most. Nothing was registered."
            )
    known = len(wallets) - len(new)
    echo(
        f"User '{user_id}' has {count} wallet{'s' * (count != 1)}: {len(new)} new"
        + (f", {known} known before." if known else ".")
    )
    _tell_dagster(lambda instance: instance.add_dynamic_partitions("users", [user_id]), "their first sync adds them")


def _tell_dagster(change: Callable[[dg.DagsterInstance], None], later: str) -> None:
    """Changes the list of users in Dagster, which only its pages and backfills need."""
    import dagster as dg
    from sqlalchemy.exc import DBAPIError

    from moonx_pipeline.storage.connection.causes import meaning_of

    try:
        with dg.DagsterInstance.get() as instance:
            change(instance)
    except DBAPIError as problem:
        echo(f"Dagster's list of users stays as it was, and {later}: {meaning_of(str(problem.orig))}.", err=True)


@user.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def list_all(as_json: bool) -> None:
    """List users, their wallets and when they were last read."""
    from moonx_pipeline.domain.events import rfc3339
    from moonx_pipeline.domain.money import plain
    from moonx_pipeline.domain.show import usd
    from moonx_pipeline.settings import load_settings
    from moonx_pipeline.storage.connection.engine import ready_engine
    from moonx_pipeline.storage.portfolios.users import list_users

    with ready_engine(load_settings()).connect() as connection:
        users = list_users(connection)
    if as_json:
        rows = [
            {
                "userId": row.user_id,
                "wallets": list(row.wallets),
                "syncStatus": row.sync_status,
                "lastSyncAt": rfc3339(row.last_sync_at) if row.last_sync_at else None,
                "totalValueUsd": plain(row.total_value_usd) if row.total_value_usd is not None else None,
            }
            for row in users
        ]
        echo(json.dumps(rows, indent=2))
        return
    if not users:
        echo("No users yet: 'moonx user add USER ADDRESS' registers one.")
    for row in users:
        read = f"read {rfc3339(row.last_sync_at)}, {usd(row.total_value_usd)}" if row.last_sync_at else "never read"
        echo(f"{row.user_id}  {row.sync_status}  {read}  {' '.join(row.wallets)}")


@user.command()
@click.argument("user_id", metavar="USER")
def remove(user_id: str) -> None:
    """Forget USER's wallets, holdings and history."""
    from moonx_pipeline.settings import load_settings
    from moonx_pipeline.storage.connection.engine import ready_engine
    from moonx_pipeline.storage.portfolios.users import remove_user

    with ready_engine(load_settings()).begin() as connection:
        known = remove_user(connection, user_id)
    if not known:
        raise OperatorError(f"There is no user '{user_id}': 'moonx user list' shows who there is.")
    echo(f"User '{user_id}' is forgotten; the record of their syncs and events stays.")
    _tell_dagster(lambda instance: instance.delete_dynamic_partition("users", user_id), "a later night removes them")
