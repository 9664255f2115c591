"""The cost of one user's sync."""

from __future__ import annotations

import logging
import time
import uuid

import dagster as dg
import psutil
from sqlalchemy import event

from moonx_pipeline.bench.figures import LATENCY_MS
from moonx_pipeline.bench.setting import Bench, milliseconds
from moonx_pipeline.launch import run_portfolio_sync
from moonx_pipeline.settings import load_settings
from moonx_pipeline.sync.pipeline import SyncPipeline
from moonx_pipeline.sync.spec import SyncSpec


def single_sync(running: Bench) -> None:
    """One user, five chains, in a warm process: first with all prices known, then with none fresh."""

    running.sync("plain")
    running.simulator.simulation.faults.latency_ms["all"] = LATENCY_MS
    statements: list[str] = []

    def count(_c: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    def sync_with_old_prices() -> None:
        with running.engine.begin() as connection:
            connection.exec_driver_sql(
                "UPDATE token_evidence SET read_at = read_at - interval '1 minute', "
                "answered_at = answered_at - interval '1 minute'"
            )
        running.sync("plain")

    running.add("sync_5_chains_ms", milliseconds(lambda: running.sync("plain")), "ms", "<= 1000")
    running.add("sync_5_chains_prices_read_anew_ms", milliseconds(sync_with_old_prices), "ms", "<= 1000")
    event.listen(running.engine, "before_cursor_execute", count)
    calls, units = running.simulator.requests(), running.simulator.simulation.faults.compute_units
    running.sync("plain")
    event.remove(running.engine, "before_cursor_execute", count)
    # Plus BEGIN and COMMIT of the two transactions, which the driver sends.
    running.add("sync_sql_round_trips", len(statements) + 4, "round trips", "<= 15")
    running.add("sync_provider_calls", running.simulator.requests() - calls, "calls", "<= 3")
    running.add(
        "sync_compute_units", running.simulator.simulation.faults.compute_units - units, "compute units", "<= 400"
    )


def large_portfolio(running: Bench) -> None:
    """3,000 tokens: a write that stores them, and one that finds nothing changed."""

    pipeline = SyncPipeline(running.runtime)
    running.simulator.simulation.faults.latency_ms.clear()
    for name, target in (("persist_3000_tokens_ms", "<= 150"), ("persist_3000_unchanged_ms", "<= 150")):
        sync = pipeline.open(SyncSpec(uuid.uuid4(), "large", "schedule"))
        valued = pipeline.value(pipeline.start_fetch(sync).result())
        started = time.perf_counter()
        pipeline.store(valued)
        running.add(name, (time.perf_counter() - started) * 1000, "ms", target)
    running.sync("large")
    again = running.sync("large")
    running.add("persist_3000_unchanged_rows", sum(again.rows), "rows", "0")
    running.simulator.simulation.faults.latency_ms["all"] = LATENCY_MS
    running.add("sync_3000_tokens_ms", milliseconds(lambda: running.sync("large"), 1), "ms", "")


def memory(running: Bench) -> None:
    """Memory of this process, the simulator included."""

    running.add("process_pss_mb", psutil.Process().memory_full_info().pss / 2**20, "MB", "<= 512")


def job_run(running: Bench) -> None:
    """A run of the real Dagster job in this warm process."""

    load_settings.cache_clear()
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions("users", ["plain"])

        def run() -> None:
            with run_portfolio_sync(instance, "plain", log_level="CRITICAL") as result:
                if not result.success:
                    raise RuntimeError("The benchmark's run failed.")

        run()
        running.add("job_run_5_chains_ms", milliseconds(run), "ms", "<= 1000")
    load_settings.cache_clear()
