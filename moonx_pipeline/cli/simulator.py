"""``moonx simulator``: serves the providers' HTTP from a made-up world."""

from __future__ import annotations

import click

from moonx_pipeline.cli.parameters import FiniteRange
from moonx_pipeline.cli.terminal import echo


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port on the loopback interface; SIMULATOR_PORT by default."
)
@click.option("--latency-ms", type=FiniteRange(0), default=0.0, help="Delay of every answer.")
def simulator(port: int | None, latency_ms: float) -> None:
    """Serve Alchemy, Binance, CoinGecko, DefiLlama and DexScreener as documented, until Ctrl-C."""
    from moonx_pipeline.settings import load_settings
    from moonx_pipeline.simulator.answering import Simulation
    from moonx_pipeline.simulator.server import listening_socket, provider_settings, serve

    simulation = Simulation()
    simulation.faults.latency_ms["all"] = latency_ms
    chosen = load_settings().service.simulator_port if port is None else port
    with listening_socket(chosen) as listener:

        def tell() -> None:
            echo("# The simulator serves until Ctrl-C. To point the pipeline at it:")
            for name, value in provider_settings(f"http://127.0.0.1:{listener.getsockname()[1]}").items():
                echo(f"export {name}='{value}'")

        serve(listener, simulation, ready=tell)
