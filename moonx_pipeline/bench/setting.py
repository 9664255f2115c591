"""The setting of benchmarks: their own database and simulator, and the figures so far."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine

from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.server import RunningSimulator, running_simulator
from moonx_pipeline.simulator.world import PLAIN_WALLET, SPAM_WALLET
from moonx_pipeline.storage.connection.embedded import release
from moonx_pipeline.storage.connection.engine import ready_engine
from moonx_pipeline.storage.portfolios.users import add_wallets
from moonx_pipeline.sync.pipeline import SyncPipeline
from moonx_pipeline.sync.runtime import Runtime, open_runtime
from moonx_pipeline.sync.spec import SyncSpec
from moonx_pipeline.sync.store import StoredSync

LATENCY_MS = 150


@dataclass(slots=True)
class Bench:
    """The results so far, and the system under test."""

    home: Path
    settings: Settings
    engine: Engine
    runtime: Runtime
    simulator: RunningSimulator
    results: list[dict[str, Any]] = field(default_factory=list)

    def add(self, name: str, value: float, unit: str, target: str) -> None:
        self.results.append({"name": name, "value": round(value, 2), "unit": unit, "target": target})

    def sync(self, user_id: str) -> StoredSync:
        return SyncPipeline(self.runtime).run(SyncSpec(uuid.uuid4(), user_id))

    def report(self) -> dict[str, Any]:
        return {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
            "settings": {"provider_latency_ms": LATENCY_MS, "database": "embedded PostgreSQL"},
            "results": self.results,
        }


@contextmanager
def prepared() -> Iterator[Bench]:
    """The benchmark's own database and simulator; within it, the environment names them."""
    with tempfile.TemporaryDirectory(prefix="moonx-bench-", ignore_cleanup_errors=True) as home:
        with running_simulator() as simulator:
            environment = {**simulator.environment(), **UNLIMITED, "MOONX_HOME": home}
            settings = Settings.from_environment(environment)
            engine = ready_engine(settings)
            with engine.begin() as connection:
                add_wallets(connection, "plain", [PLAIN_WALLET])
                add_wallets(connection, "large", [SPAM_WALLET])
            os.environ.update(environment)
            yield Bench(Path(home), settings, engine, open_runtime(settings, engine), simulator)
            engine.dispose()
        for name in environment:
            os.environ.pop(name)
        release(Path(home))


# Measures our own cost, not the waits that a provider's plan causes.
UNLIMITED = {
    "ALCHEMY_RATE_LIMIT_RPM": "1000000",
    "ALCHEMY_MAX_COMPUTE_UNITS_PER_SECOND": "1000000",
    "COINGECKO_RATE_LIMIT_RPM": "1000000",
    "DEXSCREENER_RATE_LIMIT_RPM": "1000000",
    "DEFILLAMA_RATE_LIMIT_RPM": "1000000",
}


def milliseconds(act: Callable[[], object], times: int = 5) -> float:
    """The median duration of an action."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        act()
        taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)


def save(report: dict[str, Any], home: Path) -> None:
    """Writes the figures where scripts find them."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "bench.json").write_text(json.dumps(report, indent=2) + "\n")


def show(report: dict[str, Any]) -> None:
    """Prints the figures as a table."""
    table = Table(box=None, pad_edge=False, header_style="bold", title=report["machine"], title_justify="left")
    for column in ("name", "value", "unit", "target"):
        table.add_column(column, justify="right" if column == "value" else "left")
    for row in report["results"]:
        table.add_row(row["name"], f"{row['value']:,}", row["unit"], row["target"])
    Console(width=None if sys.stdout.isatty() else 120).print(table)
