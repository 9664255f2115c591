"""``moonx bench``: what a sync costs on this machine."""

from __future__ import annotations

import click


@click.command()
def bench() -> None:
    """Measure the core against the simulator with 150 ms latency; a table, and bench.json under MOONX_HOME."""
    from moonx_pipeline.bench import core, limits, page, recovery, sockets, sweeps, workers
    from moonx_pipeline.bench.crowd import crowd
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
        with crowd() as many:
            sweeps.throughput(running, many)
            sweeps.parts(running, many)
            sweeps.economy(running, many)
        with crowd() as many:
            sweeps.growth(running, many)
        with crowd() as many:
            workers.runs(running, many)
            workers.chains(running, many)
        with crowd() as many:
            page.clicks(running, many)
        sockets.sockets(running)
        report = running.report()
    save(report, home)
    show(report)
