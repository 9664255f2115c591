"""Figures: what a benchmark measured, one value each."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from moonx_pipeline.errors import OperatorError

LATENCY_MS: Final = 150
"""How far away the simulator's providers are."""


class Figure(NamedTuple):
    """One measured value.

    Attributes:
        name: Unique among all benchmarks.
        value: In ``unit``.
        unit: Such as ``ms``.
        target: What it should be, such as ``<= 1000``; empty if there is none.
    """

    name: str
    value: float
    unit: str
    target: str


Add = Callable[[str, float, str, str], None]
"""Reports a figure as soon as it is known: name, value, unit, target."""


class Ratio(NamedTuple):
    """A figure over the same figure of another revision or report.

    Attributes:
        name: The figure.
        unit: Its unit.
        ours: The median of all rounds.
        theirs: The median of all rounds.
        ratios: Ours over theirs, by round.
    """

    name: str
    unit: str
    ours: float
    theirs: float
    ratios: tuple[float, ...]


def ratios(ours: Sequence[Sequence[Figure]], theirs: Sequence[Sequence[Figure]]) -> list[Ratio]:
    """Compares rounds pairwise; figures that one side lacks, or that are 0 there, are left out.

    Args:
        ours: The figures of each round.
        theirs: The same; a single round is compared with each of ours.
    """
    rounds = [
        ({figure.name: figure for figure in mine}, {figure.name: figure.value for figure in other})
        for mine, other in zip(ours, theirs if len(theirs) > 1 else [*theirs] * len(ours), strict=True)
    ]
    names = list(dict.fromkeys(figure.name for figures in ours for figure in figures))
    found = []
    for name in names:
        pairs = [(mine[name], other[name]) for mine, other in rounds if name in mine and other.get(name)]
        if pairs:
            found.append(
                Ratio(
                    name,
                    pairs[0][0].unit,
                    statistics.median(figure.value for figure, _ in pairs),
                    statistics.median(value for _, value in pairs),
                    tuple(figure.value / value for figure, value in pairs),
                )
            )
    return found


def save(path: Path, figures: Sequence[Figure], benchmarks: Mapping[str, Mapping[str, Any]]) -> None:
    """Writes the figures so far where scripts find them.

    Args:
        path: The file, replaced as a whole.
        figures: In the order of their names' first appearance.
        benchmarks: By name: how busy the machine was before, how long it took, and why it failed, if it did.
    """
    report = {
        "machine": machine(),
        "settings": {"provider_latency_ms": LATENCY_MS, "database": "embedded PostgreSQL"},
        "benchmarks": benchmarks,
        "results": [figure._asdict() for figure in figures],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(report, indent=2) + "\n")
    temporary.replace(path)


def load(path: Path) -> list[Figure]:
    """Reads the figures of a report.

    Raises:
        OperatorError: The file can't be read, or is no report.
    """
    try:
        return [Figure(**result) for result in json.loads(path.read_text())["results"]]
    except OSError as problem:
        raise OperatorError(f"{path} can't be read: {problem.strerror}.") from None
    except (ValueError, KeyError, TypeError):
        raise OperatorError(f"{path} is no report of 'moonx bench'.") from None


def machine() -> str:
    """The machine in a few words."""
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
