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
    from moonx_pipeline.domain.chains import KNOWN_CHAINS
    from moonx_pipeline.domain.providers import PROVIDERS
    from moonx_pipeline.settings import load_settings
    from moonx_pipeline.storage.connection.engine import ready_engine
    from moonx_pipeline.storage.protection.breaker_rows import breakers
    from moonx_pipeline.sync.protection.breakers import reset as close

    engine = ready_engine(load_settings())
    with engine.connect() as connection:
        counted = [row.key for row in breakers(connection)]
    # A breaker that never counted a failure has no row: it is closed, and no mistyped name.
    silent = [breaker for entry in PROVIDERS.values() for breaker in entry.breakers]
    by_chain = [entry for entry in PROVIDERS.values() if entry.breaks_by_chain]
    silent += [entry.breaker_of(chain.id) for entry in by_chain for chain in KNOWN_CHAINS]
    # An unknown key closes none: all keys are resolved first.
    wanted = {key: _meant(key, counted, silent) for key in dict.fromkeys(keys)}
    closed = close(engine, set().union(*wanted.values()))
    for key, meant in wanted.items():
        changed = meant.intersection(closed)
        for one in sorted(changed):
            echo(f"The breaker '{one}' is closed: it is asked again from now on.")
        if not changed:
            which = f"The breaker '{key}' is" if key in meant else f"All breakers of '{key}' are"
            echo(f"{which} closed already.")


def _meant(key: str, counted: Collection[str], silent: Collection[str]) -> set[str]:
    """The breaker of this name, or all breakers whose name begins with it and a colon."""
    known = {*counted, *silent}
    found = {key} if key in known else {name for name in known if name.startswith(f"{key}:")}
    if not found:
        near = get_close_matches(key, counted, n=1, cutoff=0.5) or get_close_matches(key, silent, n=1, cutoff=0.7)
        hint = f" Did you mean '{near[0]}'?" if near else " 'moonx status' shows those that are open."
        raise OperatorError(f"There is no breaker '{key}'.{hint}")
    return found
