"""``make chaos`` and ``make soak``."""

from __future__ import annotations

import fnmatch
import itertools
import random
import signal
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import click
import pytest
from kafka.errors import KafkaError
from sqlalchemy.exc import SQLAlchemyError

from moonx_pipeline_tests.chaos import report
from moonx_pipeline_tests.chaos.faults import BY_NAME, FAULTS, Fault
from moonx_pipeline_tests.chaos.load import USERS
from moonx_pipeline_tests.chaos.plan import Queue, plan
from moonx_pipeline_tests.chaos.rig import running_rig
from moonx_pipeline_tests.chaos.rounds import Chaos, Round
from moonx_pipeline_tests.chaos.soak import soak

_HOME: Final = Path(".moonx")
_REPORT: Final = _HOME / "chaos.json"
_SOAK_REPORT: Final = _HOME / "soak.json"


def _end_by_interrupt(*_: object) -> None:
    """The first signal ends all in order, as Ctrl-C does; a further one must not keep that from being done."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


@click.group()
def main() -> None:
    """Break the running system, and look whether what it promises holds."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end_by_interrupt)


@main.command()
@click.argument("names", nargs=-1)
@click.option("--seed", type=int, help="Of the order and the random pairs; by default a new one, which is printed.")
@click.option("--rounds", type=int, help="The most rounds; by default as many as there is time for.")
@click.option("--minutes", type=float, default=43, show_default=True, help="No round begins after this time.")
@click.option("--users", type=int, default=USERS, show_default=True)
@click.option("--logs", type=click.Path(path_type=Path), help="A folder that keeps the logs of all parts.")
def run(
    names: tuple[str, ...], seed: int | None, rounds: int | None, minutes: float, users: int, logs: Path | None
) -> None:
    """Run faults: those of NAMES (such as 'relay-*'; 'relay frozen + worker1 killed' share a round), or all."""
    seed = random.SystemRandom().randrange(10_000) if seed is None else seed
    queue = Queue(itertools.islice(_chosen(names) if names else plan(seed), rounds))
    began = time.monotonic()
    click.echo(f"seed {seed}")
    done: list[Round] = []
    missing: list[str] = []
    try:
        with closing(_rounds(queue, seed=seed, users=users, logs=logs, until=began + minutes * 60)) as running:
            for one in running:
                done.append(one)
                click.echo(f"{time.monotonic() - began:5.0f} s  {report.told(one)}")
                missing = [] if names else _missing(done)
                report.write(_REPORT, done, seed=seed, seconds=round(time.monotonic() - began), missing=missing)
    except KeyboardInterrupt:
        click.echo("Interrupted: all processes have ended.")
    click.echo(f"\n{report.table(done)}\n\nThe report is {_REPORT}; 'make chaos SEED={seed}' repeats the order.")
    if missing:
        click.echo(f"Not run: {', '.join(missing)}.")
    if not all(one.is_well for one in done):
        raise SystemExit(1)


def _missing(done: Sequence[Round]) -> list[str]:
    """The faults that no round had: there was no time, or the rig broke."""
    ran = {name for one in done for name in one.faults}
    return [fault.name for fault in FAULTS if fault.name not in ran]


def _chosen(names: Sequence[str]) -> Iterator[Sequence[Fault]]:
    for name in names:
        parts = [part.strip() for part in name.split("+")]
        if len(parts) > 1:
            yield [_one(part) for part in parts]
            continue
        found = [fault for fault in FAULTS if fnmatch.fnmatch(fault.name, name)]
        if not found:
            raise click.UsageError(f"There is no fault '{name}', only: {', '.join(BY_NAME)}.")
        yield from ([fault] for fault in found)


def _one(name: str) -> Fault:
    if name not in BY_NAME:
        raise click.UsageError(f"There is no fault '{name}', only: {', '.join(BY_NAME)}.")
    return BY_NAME[name]


def _rounds(queue: Queue, *, seed: int, users: int, logs: Path | None, until: float) -> Generator[Round]:
    """Runs rounds on one rig after the other: one that did not heal says nothing of the next fault."""
    while (faults := queue.next()) is not None and time.monotonic() < until:
        # A server that does not start again, such as on a port that is taken now, is the rig's own trouble.
        with _told_of_trouble(), running_rig(logs, brokers=_brokers(faults)) as rig:
            chaos = Chaos(rig, seed=seed, users=users)
            try:
                chaos.warm_up()
                while faults is not None and _brokers(faults) == len(rig.brokers) and time.monotonic() < until:
                    click.echo(f"         {' + '.join(fault.name for fault in faults)} …")
                    is_well = False
                    try:
                        one = chaos.run(faults)
                        is_well = one.is_well
                    finally:
                        queue.done(is_well=is_well)
                    yield one
                    if not one.is_healed:
                        break
                    faults = queue.next()
            finally:
                chaos.stop()


def _brokers(faults: Sequence[Fault]) -> int:
    return max(fault.brokers for fault in faults)


@contextmanager
def _told_of_trouble() -> Iterator[None]:
    try:
        yield
    except (AssertionError, OSError, KafkaError, SQLAlchemyError) as trouble:
        click.echo(f"The rig broke, and another one goes on: {type(trouble).__name__}: {trouble}")


@main.command("soak")
@click.option("--minutes", type=float, default=30, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--users", type=int, default=USERS, show_default=True)
def run_soak(minutes: float, seed: int, users: int) -> None:
    """Let users act for long, with a fault now and then, and print what grew."""
    with running_rig() as rig:
        chaos = Chaos(rig, seed=seed, users=users)
        try:
            chaos.warm_up()
            soak(chaos, seed=seed, seconds=minutes * 60, say=click.echo, file=_SOAK_REPORT)
        finally:
            chaos.stop()


if __name__ == "__main__":
    try:
        main()
    except pytest.skip.Exception as missing:
        raise SystemExit(f"Not run: {missing}") from None
