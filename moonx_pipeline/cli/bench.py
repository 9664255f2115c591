"""``moonx bench``: what a sync costs on this machine."""

from __future__ import annotations

import click


@click.command()
def bench() -> None:
    """Measure the core against the simulator with 150 ms latency; a table, and bench.json under MOONX_HOME."""
    from moonx_pipeline.bench import core, limits, recovery
    from moonx_pipeline.bench.setting import prepared, save, show
    from moonx_pipeline.settings import load_settings

    home = load_settings().home
    with prepared() as running:
        core.single_sync(running)
        core.large_portfolio(running)
        core.memory(running)
        core.job_run(running)
        limits.breakers(running)
        limits.limiter(running)
        recovery.recovery(running)
        report = running.report()
    save(report, home)
    show(report)
