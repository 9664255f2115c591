"""``moonx bench``: what a sync costs on this machine."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

import click

from moonx_pipeline.cli.terminal import echo
from moonx_pipeline.errors import EXIT_FAILED, OperatorError, WrongUse

if TYPE_CHECKING:
    from moonx_pipeline.bench.figures import Figure, Ratio

_BUSY_PERCENT: Final = 20
_ROUNDS: Final = 3


@click.command()
@click.argument("names", metavar="[NAME...]", nargs=-1)
@click.option("--against", metavar="FILE|REV", help="Print ratios to a saved report, or to a git revision run in turn.")
@click.option("--rounds", type=click.IntRange(1, 20), help="How often to measure; 1, or 3 with --against.")
def bench(names: tuple[str, ...], against: str | None, rounds: int | None) -> int:
    """Measure what a sync costs, against the simulator with 150 ms latency.

    Each figure is printed, and saved in bench.json under MOONX_HOME, as soon as it is known. NAME is one of sync,
    limits, recovery, sweeps, growth, storage, workers, click, bulk and sockets; all by default.
    """
    try:
        from moonx_pipeline.bench.benchmarks import BENCHMARKS
    except ImportError:
        raise OperatorError("Benchmarks are part of a checkout of the project, not of the installed package.") from None
    from moonx_pipeline.bench.figures import load, ratios
    from moonx_pipeline.bench.revisions import checked_out, is_revision
    from moonx_pipeline.bench.session import Checkout, Session
    from moonx_pipeline.settings import load_settings

    if unknown := [name for name in names if name not in BENCHMARKS]:
        raise WrongUse(f"There is no benchmark '{unknown[0]}': there are {', '.join(BENCHMARKS)}.")
    chosen = [name for name in BENCHMARKS if not names or name in names]
    home = load_settings().home
    here = Checkout(Path.cwd(), Path(sys.executable))
    ours: list[Session] = []
    theirs: list[Session] = []
    with ExitStack() as stack:
        other, saved = None, None
        if against is not None and Path(against).is_file():
            saved = load(Path(against))
        elif against is not None:
            if not is_revision(against):
                raise WrongUse(f"'{against}' is neither a file nor a revision that git knows here.")
            other = stack.enter_context(checked_out(against))
        for number in range(rounds or (_ROUNDS if against else 1)):
            suffix = f"-{number + 1}" if number else ""
            ours.append(Session(here, home / f"bench{suffix}.json", Shown("")))
            ours[-1].run(chosen)
            if other is not None:
                theirs.append(Session(other, home / f"bench-against{suffix}.json", Shown(f"{against}: ")))
                theirs[-1].run(chosen)
    if against is not None:
        compared = [saved] if saved is not None else [session.figures for session in theirs]
        _show_ratios(ratios([session.figures for session in ours], compared), against)
    return EXIT_FAILED if any(session.has_failed for session in (*ours, *theirs)) else 0


class Shown:
    """Prints figures as they come, and on stderr what is measured now."""

    def __init__(self, whose: str) -> None:
        self._whose = whose

    def begins(self, benchmark: str, busy_percent: float) -> None:
        note = ", so its figures are worse than they would be" if busy_percent > _BUSY_PERCENT else ""
        said = f"{self._whose}{benchmark} (other programs use {busy_percent:.0f} % of this machine{note}) …"
        echo(said, err=True)

    def figure(self, figure: Figure) -> None:
        line = f"{self._whose}{figure.name:<52} {figure.value:>14,} {figure.unit:<14} {figure.target}"
        echo(line.rstrip())
        sys.stdout.flush()

    def failed(self, benchmark: str, reason: str) -> None:
        echo(f"{self._whose}{benchmark} failed, and its other figures are missing. {reason}", err=True)


def _show_ratios(found: Sequence[Ratio], against: str) -> None:
    echo(f"\n{'':<52} {'here':>14} {against[:14]:>14} {'ratio':>7}  spread")
    for ratio in found:
        spread = f"{min(ratio.ratios):.2f} … {max(ratio.ratios):.2f}"
        values = f"{ratio.ours:>14,.2f} {ratio.theirs:>14,.2f} {median(ratio.ratios):>7.2f}"
        echo(f"{ratio.name:<52} {values}  {spread}")
