"""``moonx worker``: carries Dagster's runs."""

from __future__ import annotations

import click


@click.command()
def worker() -> int:
    """Carry runs until stopped: the first Ctrl-C lets those under way end, a second one stops at once."""
    from moonx_pipeline.logs import set_up_logs
    from moonx_pipeline.settings import load_settings
    from moonx_pipeline.worker.program import run_worker

    settings = load_settings()
    set_up_logs(settings)
    return run_worker(settings)
