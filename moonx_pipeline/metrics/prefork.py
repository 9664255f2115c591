"""Metrics over a worker's processes: each writes files of its own, and the main process serves the sums.

The library names these files by process id, and a worker keeps replacing its processes: files would pile up, each
read at each scrape. Here a file is named by its process's place in the pool. The next process in the place goes on
from the file's values, so dead processes leave nothing to clean up and no sum ever falls.
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
    """Makes this process and its forks keep their metrics in a folder, which is emptied first.

    Call it before any metric is declared, which happens when its module is imported.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    from prometheus_client import values

    values.ValueClass = values.MultiProcessValue(lambda: _place)  # type: ignore[no-untyped-call]


def take_place(index: int) -> None:
    """Makes a fresh fork write for its place in the pool; no two live processes share a place."""
    global _place
    _place = str(index)


def shared_registry() -> CollectorRegistry:
    """The registry of the sums, for the main process to serve."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry
