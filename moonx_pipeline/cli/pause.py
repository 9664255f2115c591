"""``moonx pause`` and ``moonx resume``: hold all syncs, and let them go on."""

from __future__ import annotations

import getpass
import socket

import click

from moonx_pipeline.cli.terminal import echo
from moonx_pipeline.errors import WrongUse


@click.command()
@click.option("--reason", required=True, help="Why, for whoever finds syncs paused.")
def pause(reason: str) -> None:
    """Start no syncs until 'moonx resume': those that run go on, requests wait, nobody is swept."""
    if not reason.strip():
        raise WrongUse("A pause needs a reason: --reason 'why'. Nothing was changed.")
    from moonx_pipeline.domain.events import rfc3339
    from moonx_pipeline.settings import load_settings
    from moonx_pipeline.storage.connection.engine import ready_engine
    from moonx_pipeline.storage.requests.pause import current_pause
    from moonx_pipeline.storage.requests.pause import pause as begin

    with ready_engine(load_settings()).begin() as connection:
        before = current_pause(connection)
        now = begin(connection, " ".join(reason.split()), f"{getpass.getuser()}@{socket.gethostname()}")
    if before:
        echo(f"Syncs are paused already, since {rfc3339(now.paused_at)}; the reason is now: {now.reason}")
    else:
        echo("All syncs are paused: requests wait until 'moonx resume'. What runs already goes on.")


@click.command()
def resume() -> None:
    """Let syncs be started again."""
    from moonx_pipeline.domain.events import rfc3339
    from moonx_pipeline.settings import load_settings
    from moonx_pipeline.storage.connection.engine import ready_engine
    from moonx_pipeline.storage.requests.dispatches import read_queue
    from moonx_pipeline.storage.requests.pause import resume as end

    with ready_engine(load_settings()).begin() as connection:
        ended = end(connection)
        waiting = read_queue(connection).waiting
    if ended is None:
        echo("Syncs are not paused: nothing to do.")
        return
    echo(
        f"Syncs go on. They were paused since {rfc3339(ended.paused_at)} by {ended.paused_by}: {ended.reason}. "
        f"{waiting:,} request{'s' * (waiting != 1)} waited."
    )
