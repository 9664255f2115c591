"""A soak: users act for long under a fault now and then, and what processes and tables hold is measured."""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import psutil
from sqlalchemy.exc import DBAPIError

from moonx_pipeline_tests.chaos.faults import BY_NAME
from moonx_pipeline_tests.chaos.report import told
from moonx_pipeline_tests.chaos.rig import Rig
from moonx_pipeline_tests.chaos.rounds import Chaos

_SAMPLE_SECONDS: Final = 10.0
_CALM_SECONDS: Final = 60.0
"""From the end of a round to the next fault."""

_FAULTS: Final = (
    "relay-kafka cut",
    "worker-database forgotten",
    "redis emptied",
    "worker child killed",
    "alchemy outage",
    "gateway-kafka refused",
    "poison token",
)
_LARGEST: Final = 12


class Sample(NamedTuple):
    """What is held at a time: numbers by name, such as ``relay memory MB``."""

    at: float
    held: dict[str, float]


def sample(rig: Rig) -> dict[str, float]:
    """Memory, threads and files of the parts; sizes and rows of the largest tables."""
    held: dict[str, float] = {}
    for name, part in rig.parts.items():
        memory = threads = files = 0
        for process in part.processes():
            with suppress(psutil.Error):
                memory += process.memory_full_info().uss
                threads += process.num_threads()
                files += process.num_fds()
        held |= {f"{name} memory MB": memory / 1e6, f"{name} threads": threads, f"{name} files": files}
    with suppress(DBAPIError):
        for table, size, rows in rig.rows(
            "SELECT relname, pg_total_relation_size(relid) / 1e6::float8, n_live_tup FROM pg_stat_user_tables "
            f"ORDER BY 2 DESC LIMIT {_LARGEST}"
        ):
            held |= {f"table {table} MB": size, f"table {table} rows": rows}
        ((sessions,),) = rig.rows("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        held["sessions"] = sessions
    return held


def growth(samples: Sequence[Sample]) -> dict[str, tuple[float, float]]:
    """Medians of the first and of the last quarter, by name, of what was in both."""
    quarter = max(1, len(samples) // 4)
    first, last = samples[:quarter], samples[-quarter:]

    def median(of: Sequence[Sample], name: str) -> float:
        return statistics.median(one.held[name] for one in of if name in one.held)

    names = set.intersection(*({name for one in part for name in one.held} for part in (first, last)))
    return {name: (median(first, name), median(last, name)) for name in sorted(names)}


def soak(chaos: Chaos, *, seed: int, seconds: float, say: Callable[[str], None], file: Path) -> None:
    """Lets users act, runs a random fault a minute, and prints what was held at first and at last."""
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    began = time.monotonic()
    samples: list[Sample] = []

    def note() -> None:
        samples.append(Sample(time.monotonic() - began, sample(chaos.rig)))

    while time.monotonic() - began < seconds:
        chaos.load.start()
        calm = min(time.monotonic() + _CALM_SECONDS, began + seconds)
        while time.monotonic() < calm:
            note()
            time.sleep(_SAMPLE_SECONDS)
        chaos.load.pause()
        say(f"{time.monotonic() - began:5.0f} s  {told(chaos.run([BY_NAME[chance.choice(_FAULTS)]]))}")
        note()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([one._asdict() for one in samples]) + "\n")
    say(f"\n{'held':60} at first    at last")
    for name, (first, last) in growth(samples).items():
        say(f"{name:60} {first:8.1f}  {last:9.1f}")
