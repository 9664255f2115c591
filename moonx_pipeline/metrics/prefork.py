"""Metrics of a worker's processes together: each writes into files of its own, and the main process serves the sums.

The library can do that, but it names files by process ids, and a worker replaces its processes all the time: files
would pile up, each to be read at each look. Here they are named by a process's place in the pool. Whoever takes the
place goes on from what is there, so nothing of a dead process is to be cleaned up and no sum ever falls.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_place = "main"


def share_metrics(folder: Path) -> None:
    """Has this process and those that it forks keep their metrics in a folder, which is emptied.

    To be called before any metric is declared, which is when the module that declares it is imported.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    from prometheus_client import values

    values.ValueClass = values.MultiProcessValue(lambda: _place)  # type: ignore[no-untyped-call]


def take_place(index: int) -> None:
    """Makes a fresh fork write for its place in the pool; no two that live have the same."""
    global _place
    _place = str(index)


def shared_registry() -> CollectorRegistry:
    """The sums, to be served by the main process."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry
