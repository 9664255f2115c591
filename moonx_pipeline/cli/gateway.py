"""``moonx gateway``: serves API, page and live connection."""

from __future__ import annotations

import click


@click.command()
def gateway() -> None:
    """Serve API, page and live connection until stopped; as many side by side as you like."""
    from moonx_pipeline.loading import kept_for_good

    with kept_for_good():
        from moonx_pipeline.gateway.server import run_gateway
        from moonx_pipeline.logs import log_warnings, set_up_logs
        from moonx_pipeline.settings import load_settings
        from moonx_pipeline.tracing import start_tracing

    settings = load_settings()
    set_up_logs(settings)
    log_warnings(settings)
    start_tracing(settings, "gateway")
    run_gateway(settings)
