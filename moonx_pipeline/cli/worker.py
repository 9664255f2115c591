"""``moonx worker``: executes Dagster's runs."""

from __future__ import annotations

import socket

import click

_FIRST_PORT = 3001


@click.command()
def worker() -> int:
    """Carry runs until stopped: the first Ctrl-C lets those under way end, a second one stops at once."""
    from moonx_pipeline.errors import WrongUse
    from moonx_pipeline.loading import kept_for_good
    from moonx_pipeline.logs import log_warnings, set_up_logs
    from moonx_pipeline.metrics.prefork import share_metrics
    from moonx_pipeline.metrics.serving import is_wanted, listen
    from moonx_pipeline.settings import load_settings
    from moonx_pipeline.settings.rules import missing_for_worker

    settings = load_settings()
    set_up_logs(settings)
    if missing := missing_for_worker(settings):
        raise WrongUse(missing)
    log_warnings(settings)
    listening, monitoring = None, settings.monitoring
    if is_wanted(monitoring):
        listening = listen(monitoring.host, monitoring.metrics_port, default=_FIRST_PORT, setting="METRICS_PORT")
        # The port belongs to one worker of this host, so the folder does, too.
        share_metrics(settings.home / "metrics" / f"{socket.gethostname()}-{listening.getsockname()[1]}")
    with kept_for_good():
        from moonx_pipeline.worker.program import run_worker  # declares metrics on import

    return run_worker(settings, listening)
