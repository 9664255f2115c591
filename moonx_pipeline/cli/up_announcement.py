"""What ``moonx up`` says once the system runs: where its pages are, with links that sign in."""

from __future__ import annotations

import sys
from datetime import timedelta

from sqlalchemy import Engine

from moonx_pipeline.cli.terminal import echo
from moonx_pipeline.errors import WrongUse
from moonx_pipeline.settings import Settings

DEMO_USER = "demo"
_SESSION = timedelta(hours=12)
_ADMIN_SESSION = timedelta(hours=1)


def graphql_url(port: int) -> str:
    """The URL of Dagster's GraphQL on this machine."""
    return f"http://127.0.0.1:{port}/graphql"


def announce(settings: Settings, engine: Engine) -> None:
    """Prints the pages' addresses, with links that sign in, once they answer.

    Args:
        settings: Of this machine.
        engine: The pipeline's database, with this version's schema.
    """
    import requests
    from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

    @retry(retry=retry_if_exception_type(requests.RequestException), wait=wait_fixed(0.3), stop=stop_after_delay(90))
    def answers(url: str) -> None:
        requests.get(url, timeout=2).raise_for_status()

    web, page = settings.service.webserver_port, f"http://127.0.0.1:{settings.gateway.port}"
    answers(f"{page}/openapi.json")
    answers(f"http://127.0.0.1:{web}/server_info")
    # What is printed elsewhere than on a terminal is kept: by a service manager, in a file.
    admin = sys.stdout.isatty() and _link(settings, engine, is_admin=True)
    echo(
        f"\nYour portfolio: {_link(settings, engine, is_admin=False) or f'{page}/'}\n"
        f"For operators:  {admin or f'{page}/admin'}\n"
        f"                A link signs in once, within a minute: 'moonx token {DEMO_USER} --link' prints a new one,\n"
        f"                with '--admin' one for operators.\n"
        f"Dagster:        http://127.0.0.1:{web}/assets/portfolio\n"
        f"The API:        {page}/docs  (Ctrl-C stops everything)\n"
        f"For commands in another terminal: export DAGSTER_GRAPHQL_URL={graphql_url(web)}\n"
    )


def _link(settings: Settings, engine: Engine, *, is_admin: bool) -> str | None:
    """A link that signs the demo user in; ``None`` if tokens are issued elsewhere."""
    from moonx_pipeline.cli.links import sign_in_link

    try:
        lifetime = _ADMIN_SESSION if is_admin else _SESSION
        return sign_in_link(settings, engine, DEMO_USER, is_admin=is_admin, lifetime=lifetime)
    except WrongUse:
        return None
