"""``moonx token``: makes tokens, and links that sign in, for development."""

from __future__ import annotations

from datetime import timedelta

import click

from moonx_pipeline.cli.parameters import FiniteRange
from moonx_pipeline.cli.terminal import echo
from moonx_pipeline.domain.users import InvalidUserId, parse_user_id
from moonx_pipeline.errors import WrongUse


@click.command()
@click.argument("user_id", metavar="USER")
@click.option("--admin", is_flag=True, help="With the role of an administrator.")
@click.option("--link", is_flag=True, help="A link to the page instead, which signs in once, within a minute.")
@click.option("--hours", type=FiniteRange(0, 24 * 365, min_open=True), default=12.0, show_default=True,
              help="How long it is valid.")  # fmt: skip
def token(user_id: str, admin: bool, link: bool, hours: float) -> None:
    """Print a token of USER that the gateway of this machine accepts; in development only."""
    from moonx_pipeline.gateway.auth import development_token
    from moonx_pipeline.settings import load_settings

    try:
        parse_user_id(user_id)
    except InvalidUserId as problem:
        raise WrongUse(str(problem)) from None
    settings, lifetime = load_settings(), timedelta(hours=hours)
    if link:
        from moonx_pipeline.cli.links import sign_in_link
        from moonx_pipeline.storage.connection.engine import ready_engine

        echo(sign_in_link(settings, ready_engine(settings), user_id, is_admin=admin, lifetime=lifetime))
    else:
        echo(development_token(settings, user_id, is_admin=admin, lifetime=lifetime))
