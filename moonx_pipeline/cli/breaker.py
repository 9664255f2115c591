"""``moonx breaker``: closes circuit breakers by hand."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

import click

from moonx_pipeline.cli.terminal import echo
from moonx_pipeline.errors import OperatorError


@click.group()
def breaker() -> None:
    """Close circuit breakers by hand; 'moonx status' shows them."""


@breaker.command()
@click.argument("keys", metavar="KEY...", nargs=-1, required=True)
def reset(keys: tuple[str, ...]) -> None:
    """Close the breakers KEY..., such as alchemy:137, binance or user:ann; alchemy stands for all of its chains."""
    from moonx_pipeline.settings import load_settings
    from moonx_pipeline.storage.connection.engine import ready_engine
    from moonx_pipeline.storage.protection.breaker_rows import breakers
    from moonx_pipeline.sync.protection.breakers import reset as close

    engine = ready_engine(load_settings())
    with engine.connect() as connection:
        known = [row.key for row in breakers(connection)]
    # An unknown key closes none: all keys are resolved first.
    wanted = {key: _meant(key, known) for key in dict.fromkeys(keys)}
    closed = close(engine, set().union(*wanted.values()))
    for key, meant in wanted.items():
        changed = meant.intersection(closed)
        for one in sorted(changed):
            echo(f"The breaker '{one}' is closed: it is asked again from now on.")
        if not changed:
            which = f"The breaker '{key}' is" if key in meant else f"All breakers of '{key}' are"
            echo(f"{which} closed already.")


def _meant(key: str, known: Collection[str]) -> set[str]:
    """The breaker of this name, or all breakers whose name begins with it and a colon."""
    found = {key} if key in known else {name for name in known if name.startswith(f"{key}:")}
    if not found:
        near = get_close_matches(key, known, n=1, cutoff=0.5)
        hint = f" Did you mean '{near[0]}'?" if near else " 'moonx status' shows those that ever counted a failure."
        raise OperatorError(f"There is no breaker '{key}'.{hint}")
    return found
