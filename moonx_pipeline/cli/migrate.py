"""``moonx migrate``: brings the database's schema up to date."""

from __future__ import annotations

import json

import click

from moonx_pipeline.cli.terminal import echo


@click.command()
@click.option("--roles", is_flag=True, help="Also make the roles moonx_worker, moonx_gateway and moonx_relay.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def migrate(roles: bool, as_json: bool) -> None:
    """Bring the database's schema up to this version; doing it again does nothing.

    With --roles each part can have a user of its own in the database, with no more rights than it needs: DB_USER is
    the owner here, and the part's role in its own settings. Passwords are DB_WORKER_PASSWORD and its like.
    """
    from moonx_pipeline.settings import load_settings
    from moonx_pipeline.storage.connection.engine import database_url, open_engine, reach
    from moonx_pipeline.storage.connection.migrations import migrate as apply
    from moonx_pipeline.storage.connection.roles import apply_roles

    settings = load_settings()
    engine = open_engine(database_url(settings))
    reach(engine)
    applied = apply(engine)
    database = settings.database
    passwords = {
        "moonx_worker": database.worker_password,
        "moonx_gateway": database.gateway_password,
        "moonx_relay": database.relay_password,
    }
    made = apply_roles(engine, passwords) if roles else ()
    if as_json:
        echo(json.dumps({"applied": list(applied), "roles": list(made)} if roles else {"applied": list(applied)}))
        return
    echo(f"Applied {', '.join(applied)}." if applied else "The schema is current: nothing to do.")
    if roles:
        echo(f"Made the roles {', '.join(made)}." if made else "The roles are there; their rights are set.")
