"""``moonx webserver``: Dagster's webserver, behind a guard."""

from __future__ import annotations

import click


@click.command(
    context_settings={
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
        "help_option_names": ["--help"],  # -h is the webserver's own: the host
    }
)
@click.argument("arguments", metavar="[OPTIONS OF DAGSTER-WEBSERVER]", nargs=-1, type=click.UNPROCESSED)
def webserver(arguments: tuple[str, ...]) -> None:
    """Serve Dagster's pages until stopped; refuse what foreign web pages make an operator's browser send.

    Takes what dagster-webserver takes, such as -h 127.0.0.1 -p 3000 -w workspace.yaml.
    """
    from moonx_pipeline.defs.webserver import run_webserver
    from moonx_pipeline.settings import load_settings

    run_webserver(arguments, load_settings)
