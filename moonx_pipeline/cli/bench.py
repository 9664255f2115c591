"""``moonx bench``: what a sync costs, measured on this machine against the simulator."""

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
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from moonx_pipeline.simulator.server import RunningSimulator
    from moonx_pipeline.sync.persist import StoredSync
    from moonx_pipeline.sync.sources import Sources

LATENCY_MS = 150


@dataclass(slots=True)
class Bench:
    """Results so far, and what they are measured on."""

    engine: Engine
    sources: Sources
    simulator: RunningSimulator
    results: list[dict[str, Any]] = field(default_factory=list)

    def add(self, name: str, value: float, unit: str, target: str) -> None:
        self.results.append({"name": name, "value": round(value, 2), "unit": unit, "target": target})

    def sync(self, user_id: str) -> StoredSync:
        from moonx_pipeline.sync.order import SyncOrder
        from moonx_pipeline.sync.user_sync import sync_user

        return sync_user(self.engine, self.sources, SyncOrder(uuid.uuid4(), user_id))


@click.command()
def bench() -> None:
    """Measure the core against the simulator with 150 ms latency; a table, and bench.json under MOONX_HOME."""
    with _prepared() as running:
        _single_sync(running)
        _large_portfolio(running)
        _memory(running)
        _job_run(running)
        results = running.results
    report = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "settings": {"provider_latency_ms": LATENCY_MS, "database": "embedded PostgreSQL"},
        "results": results,
    }
    from moonx_pipeline.settings import load_settings

    home = load_settings().home
    home.mkdir(parents=True, exist_ok=True)
    (home / "bench.json").write_text(json.dumps(report, indent=2) + "\n")
    _print(report)


@contextmanager
def _prepared() -> Iterator[Bench]:
    """A database and a simulator of the benchmark's own."""
    from moonx_pipeline.settings import Settings
    from moonx_pipeline.simulator.server import running_simulator
    from moonx_pipeline.simulator.world import PLAIN_WALLET, SPAM_WALLET
    from moonx_pipeline.storage.database import ready_engine
    from moonx_pipeline.storage.embedded import release
    from moonx_pipeline.storage.users import add_wallets
    from moonx_pipeline.sync.sources import open_sources

    with tempfile.TemporaryDirectory(prefix="moonx-bench-", ignore_cleanup_errors=True) as home:
        with running_simulator() as simulator:
            settings = Settings.from_environment({**simulator.environment(), "MOONX_HOME": home})
            engine = ready_engine(settings)
            with engine.begin() as connection:
                add_wallets(connection, "plain", [PLAIN_WALLET])
                add_wallets(connection, "large", [SPAM_WALLET])
            os.environ.update({**simulator.environment(), "MOONX_HOME": home})
            yield Bench(engine, open_sources(settings, engine), simulator)
            engine.dispose()
        os.environ.pop("MOONX_HOME")
        release(Path(home))


def _milliseconds(act: Callable[[], object], times: int = 5) -> float:
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        act()
        taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)


def _single_sync(running: Bench) -> None:
    """One user, five chains, in a warm process: first with all prices known, then with none fresh."""
    from sqlalchemy import event

    running.sync("plain")
    running.simulator.simulation.faults.latency_ms["all"] = LATENCY_MS
    statements: list[str] = []

    def count(_c: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    def sync_with_old_prices() -> None:
        with running.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE token_prices SET read_at = read_at - interval '1 minute'")
        running.sync("plain")

    running.add("sync_5_chains_ms", _milliseconds(lambda: running.sync("plain")), "ms", "<= 1000")
    running.add("sync_5_chains_prices_read_anew_ms", _milliseconds(sync_with_old_prices), "ms", "<= 1000")
    event.listen(running.engine, "before_cursor_execute", count)
    calls, units = running.simulator.requests(), running.simulator.simulation.faults.compute_units
    running.sync("plain")
    event.remove(running.engine, "before_cursor_execute", count)
    # The driver sends BEGIN and COMMIT of the two transactions by itself.
    running.add("sync_sql_round_trips", len(statements) + 4, "round trips", "<= 15")
    running.add("sync_provider_calls", running.simulator.requests() - calls, "calls", "<= 3")
    running.add(
        "sync_compute_units", running.simulator.simulation.faults.compute_units - units, "compute units", "<= 400"
    )


def _large_portfolio(running: Bench) -> None:
    """3,000 tokens: the write that stores them, and the one that finds nothing changed."""
    from moonx_pipeline.domain.chains import CHAINS
    from moonx_pipeline.sync.open import open_sync
    from moonx_pipeline.sync.order import SyncOrder
    from moonx_pipeline.sync.persist import persist_syncs
    from moonx_pipeline.sync.user_sync import start_fetch, utc_now
    from moonx_pipeline.sync.value import value_sync

    running.simulator.simulation.faults.latency_ms.clear()
    for name, target in (("persist_3000_tokens_ms", "<= 150"), ("persist_3000_unchanged_ms", "<= 150")):
        sync = open_sync(running.engine, running.sources, SyncOrder(uuid.uuid4(), "large", "schedule"), utc_now())
        fetch = start_fetch(running.engine, running.sources, sync)
        readings = [reading for chain in CHAINS for reading in fetch.read_chain(chain.id)]
        valued = value_sync(
            running.engine,
            running.sources,
            sync,
            readings,
            quotes=fetch.quotes(),
            scope=fetch.scope,
            read_at=utc_now(),
        )
        started = time.perf_counter()
        persist_syncs(running.engine, running.sources, [valued], utc_now())
        running.add(name, (time.perf_counter() - started) * 1000, "ms", target)
    running.sync("large")
    again = running.sync("large")
    running.add("persist_3000_unchanged_rows", sum(again.rows), "rows", "0")
    running.simulator.simulation.faults.latency_ms["all"] = LATENCY_MS
    running.add("sync_3000_tokens_ms", _milliseconds(lambda: running.sync("large"), 1), "ms", "")


def _memory(running: Bench) -> None:
    """This process, which holds the simulator, too."""
    import psutil

    running.add("process_pss_mb", psutil.Process().memory_full_info().pss / 2**20, "MB", "<= 512")


def _job_run(running: Bench) -> None:
    """The real Dagster job in this warm process."""
    import logging

    import dagster as dg

    from moonx_pipeline.cli.launch import run_portfolio_sync
    from moonx_pipeline.settings import load_settings

    load_settings.cache_clear()
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions("users", ["plain"])

        def run() -> None:
            with run_portfolio_sync(instance, "plain", log_level="CRITICAL") as result:
                if not result.success:
                    raise RuntimeError("The benchmark's run failed.")

        run()
        running.add("job_run_5_chains_ms", _milliseconds(run), "ms", "<= 1000")
    load_settings.cache_clear()


def _print(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", title=report["machine"], title_justify="left")
    for column in ("name", "value", "unit", "target"):
        table.add_column(column, justify="right" if column == "value" else "left")
    for row in report["results"]:
        table.add_row(row["name"], f"{row['value']:,}", row["unit"], row["target"])
    Console(width=None if sys.stdout.isatty() else 120).print(table)
