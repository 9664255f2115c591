"""Dagster's webserver, behind the guard. The only module that imports ``dagster_webserver``, whose parts are private.

A test of each symbol that is relied on names what an upgrade of Dagster has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from dagster_webserver import cli
from dagster_webserver.app import create_app_from_workspace_process_context as create_app

from moonx_pipeline.defs.webserver_guard import WebserverGuard
from moonx_pipeline.settings import Settings


def run_webserver(arguments: Sequence[str], settings: Callable[[], Settings]) -> None:
    """Runs ``dagster-webserver`` with its own arguments until stopped; the settings are asked for once it serves."""

    def create_guarded(*given: Any, **options: Any) -> WebserverGuard:
        return WebserverGuard(create_app(*given, **options), known_hosts(settings()))

    # The program makes its application by this name, and offers no place for a middleware.
    cli.create_app_from_workspace_process_context = create_guarded  # type: ignore[assignment, attr-defined]
    cli.dagster_webserver.main(
        args=list(arguments), prog_name="dagster-webserver", auto_envvar_prefix="DAGSTER_WEBSERVER"
    )


def known_hosts(settings: Settings) -> set[str]:
    """The names by which the settings know the webserver: for commands, for operators, and any others."""
    urls = (settings.service.graphql_url, settings.gateway.dagster_url)
    return {urlsplit(url).hostname or "" for url in urls if url} | set(settings.service.webserver_hosts)
