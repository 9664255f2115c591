"""``moonx migrate``: brings the database's schema up to date."""

from __future__ import annotations

import json

import click

from moonx_pipeline.cli.terminal import echo


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def migrate(as_json: bool) -> None:
    """Bring the database's schema up to this version; doing it again does nothing."""
    from moonx_pipeline.settings import load_settings
    from moonx_pipeline.storage.connection.engine import database_url, open_engine, reach
    from moonx_pipeline.storage.connection.migrations import migrate as apply

    engine = open_engine(database_url(load_settings()))
    reach(engine)
    applied = apply(engine)
    if as_json:
        echo(json.dumps({"applied": list(applied)}))
    elif applied:
        echo("Applied " + ", ".join(applied) + ".")
    else:
        echo("The schema is current: nothing to do.")
