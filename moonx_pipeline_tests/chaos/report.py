"""What rounds showed: as JSON for programs, as a table for people."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from moonx_pipeline_tests.chaos.rounds import Round

_SHOWN: Final = 5
_HEADINGS: Final = ("fault", "runs", "violations", "invariant", "healthy s", "settled s")


def spread(seconds: Sequence[float | None]) -> str:
    """Median and worst of times; a time that never came is the worst."""
    known = [one for one in seconds if one is not None]
    worst = "never" if len(known) < len(seconds) else f"{max(known):.0f}"
    return worst if len(seconds) == 1 else f"{statistics.median(known):.0f}, {worst}" if known else worst


def rows(rounds: Sequence[Round]) -> list[tuple[str, ...]]:
    """A row a fault: its name, runs, violations, violated invariants, seconds until healthy, and settled.

    A shared round in which all was well is a run of each of its faults. One that shows a violation says not by which
    of them, so it has a row of its own.
    """
    by_fault: dict[str, list[Round]] = {}
    for one in rounds:
        for name in one.faults if one.is_well else (" + ".join(one.faults),):
            by_fault.setdefault(name, []).append(one)
    return [
        (
            name,
            str(len(runs)),
            str(sum(len(violated.what) for one in runs for violated in one.violated)),
            ", ".join(sorted({violated.invariant for one in runs for violated in one.violated})) or "-",
            spread([one.healthy_seconds for one in runs]),
            spread([one.settled_seconds for one in runs]),
        )
        for name, runs in by_fault.items()
    ]


def table(rounds: Sequence[Round]) -> str:
    """The rows under their headings; times as median and worst."""
    lines = [_HEADINGS, *rows(rounds)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def told(one: Round) -> str:
    """A round in a line, and its violations below."""
    ended = "".join(f", {part} ended {times} times" for part, times in one.ended.items())
    healthy, settled = spread([one.healthy_seconds]), spread([one.settled_seconds])
    lines = [f"{' + '.join(one.faults)}: healthy after {healthy} s, settled after {settled} s{ended}"]
    for invariant, what in one.violated:
        lines += [f"    {invariant}: {len(what)}", *(f"        {text}" for text in what[:_SHOWN])]
    return "\n".join(lines)


def write(file: Path, rounds: Sequence[Round], **facts: Any) -> None:
    """Writes the report."""
    file.parent.mkdir(parents=True, exist_ok=True)
    by_fault = [dict(zip(_HEADINGS, row, strict=True)) for row in rows(rounds)]
    content = {**facts, "faults": by_fault, "rounds": [_as_json(one) for one in rounds]}
    file.write_text(json.dumps(content, indent=2) + "\n")


def _as_json(one: Round) -> dict[str, Any]:
    return {**one._asdict(), "violated": {violated.invariant: violated.what for violated in one.violated}}
