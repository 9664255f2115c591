"""``moonx backup`` and ``moonx restore``: the embedded database in a file, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from moonx_pipeline.cli.terminal import echo
from moonx_pipeline.errors import WrongUse
from moonx_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from moonx_pipeline.storage.upkeep.backup import Settled


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
def backup(file: Path) -> None:
    """Write the embedded database to FILE, as it is at one moment; nothing has to be stopped.

    It holds wallets, holdings, events and Dagster's runs, and no key of a provider.
    """
    from moonx_pipeline.storage.connection.engine import database_url
    from moonx_pipeline.storage.upkeep.backup import back_up

    settings = load_settings()
    _refuse_database_of_the_operators_own(settings, "pg_dump --format=custom --file=FILE")
    back_up(database_url(settings), file)
    echo(f"Backed up to {file}, {file.stat().st_size / 1e6:,.1f} MB.")
    if settings.database.dagster_url_given:
        echo("Dagster's own database (DAGSTER_DATABASE_URL) is not in it: back it up by pg_dump.")


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--settle", "only_settle", is_flag=True, help="No FILE: a tool of yours has restored, make it fit.")
def restore(file: Path | None, only_settle: bool) -> None:
    """Bring FILE, which 'moonx backup' wrote, into an empty embedded database. Stop all parts before.

    A database of your own is restored by pg_restore, and then made fit by 'moonx restore --settle': versions of
    portfolios go on above those that were told after the backup, and every portfolio is read and told of anew.
    """
    if only_settle == (file is not None):
        raise WrongUse("Give the FILE to restore, or --settle after a restore by other tools. Nothing was changed.")
    settings = load_settings()
    echo(_told(_settle(settings) if file is None else _restore(settings, file)))


def _restore(settings: Settings, file: Path) -> Settled:
    from moonx_pipeline.storage.connection.engine import database_url, open_engine
    from moonx_pipeline.storage.upkeep.backup import restore as bring_back

    _refuse_database_of_the_operators_own(
        settings,
        "pg_restore --single-transaction --no-owner --dbname=NAME FILE', and then 'moonx restore --settle",
    )
    url = database_url(settings)
    return bring_back(url, open_engine(url), file)


def _settle(settings: Settings) -> Settled:
    from moonx_pipeline.storage.connection.engine import ready_engine
    from moonx_pipeline.storage.upkeep.backup import settle

    with ready_engine(settings).begin() as connection:
        return settle(connection)


def _refuse_database_of_the_operators_own(settings: Settings, instead: str) -> None:
    if settings.database.url is not None:
        raise WrongUse(
            "The settings name a database of your own, and this command is for the embedded one. "
            f"Use '{instead}', with PGHOST, PGUSER and PGPASSWORD set. Nothing was done."
        )


def _told(settled: Settled) -> str:
    from moonx_pipeline.domain.events import rfc3339

    as_of = f" as of {rfc3339(settled.as_of)}" if settled.as_of else ""
    return (
        f"Restored {settled.users:,} user{'s' * (settled.users != 1)}{as_of}; versions of portfolios went up by "
        f"{settled.skipped:,}. The next sync of each user reads and publishes all that the user holds. 'moonx doctor' "
        "checks what is stored."
    )
