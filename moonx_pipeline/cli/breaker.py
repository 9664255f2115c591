"""``moonx breaker``: circuit breakers by hand."""

from __future__ import annotations

from difflib import get_close_matches

import click

from moonx_pipeline.errors import OperatorError


@click.group()
def breaker() -> None:
    """Close circuit breakers by hand; 'moonx status' shows them."""


@breaker.command()
@click.argument("key", metavar="KEY")
def reset(key: str) -> None:
    """Close the breaker KEY, such as alchemy:137, binance or user:ann."""
    from moonx_pipeline.settings import load_settings
    from moonx_pipeline.storage.breakers import breakers
    from moonx_pipeline.storage.database import ready_engine
    from moonx_pipeline.sync.breaking import reset as close

    engine = ready_engine(load_settings())
    if close(engine, key) is not None:
        click.echo(f"The breaker '{key}' is closed: it is asked again from now on.")
        return
    with engine.connect() as connection:
        known = [row.key for row in breakers(connection)]
    if key in known:
        click.echo(f"The breaker '{key}' is closed already.")
        return
    near = get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f" Did you mean '{near[0]}'?" if near else " 'moonx status' shows those that ever counted a failure."
    raise OperatorError(f"There is no breaker '{key}'.{hint}")
