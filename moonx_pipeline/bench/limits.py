"""The cost of circuit breakers and rate limits."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from multiprocessing.synchronize import Barrier
from typing import Final

from moonx_pipeline.bench.setting import Bench, milliseconds
from moonx_pipeline.storage.connection.engine import open_engine
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.protection.breaker_rows import Report, closed
from moonx_pipeline.storage.protection.breaker_rows import report as tell
from moonx_pipeline.storage.protection.rate_limits import Limit, take
from moonx_pipeline.sync.protection.breakers import load_breakers
from moonx_pipeline.sync.requests.ask import manual_sync_limit

SECONDS: Final = 3.0
_MINUTE: Final = timedelta(minutes=1)
_START_SECONDS: Final = 120
"""How long the callers wait for the last of them to have started."""


def limiter(running: Bench) -> None:
    """Callers of one key, each in its own process, as fast as they can."""
    for callers in (8, 32):
        taken = _hammer(running, callers)
        running.add(f"limiter_takes_per_second_{callers}_callers", len(taken) / SECONDS, "takes/s", "")
        running.add(f"limiter_take_p50_ms_{callers}_callers", statistics.median(taken) * 1000, "ms", "")
        ninety_nine = statistics.quantiles(taken, n=100)[98] * 1000
        running.add(f"limiter_take_p99_ms_{callers}_callers", ninety_nine, "ms", "<= 5" if callers == 8 else "")


def breakers(running: Bench) -> None:
    """A sync's costs: reading all its breakers, reporting one failure, taking a user's permit."""
    runtime = running.runtime
    keys = [*runtime.providers.breaker_keys, "user:plain"]
    running.add(
        "breakers_read_ms",
        milliseconds(lambda: load_breakers(runtime.db, runtime.policy.breakers, keys), 50),
        "ms",
        "< 100",
    )

    def fail() -> None:
        with running.engine.begin() as connection:
            standing = closed("bench")
            tell(connection, [Report("bench", standing.epoch, "failure", "bench", timedelta(minutes=1))], 10**6)

    def take_one() -> None:
        with autocommit(running.engine) as connection:
            take(connection, [manual_sync_limit(running.settings.worker, "plain")])

    running.add("breaker_report_ms", milliseconds(fail, 50), "ms", "< 50")
    running.add("manual_limit_take_ms", milliseconds(take_one, 50), "ms", "< 200")


def _hammer(running: Bench, callers: int) -> list[float]:
    """The seconds of each take, of so many callers at once."""
    context = multiprocessing.get_context("spawn")
    url = running.engine.url.render_as_string(hide_password=False)
    together = context.Barrier(callers)
    with ProcessPoolExecutor(callers, context, _join, (together,)) as pool:
        return [seconds for taken in pool.map(_take_for, [url] * callers) for seconds in taken]


_together: Barrier


def _join(together: Barrier) -> None:
    global _together
    _together = together


def _take_for(url: str) -> list[float]:
    engine = open_engine(url, connections=1)
    limits = [Limit("bench", 1, 600_000, _MINUTE), Limit("bench:compute_units", 200, 10**9, timedelta(seconds=10))]
    taken = []
    with autocommit(engine) as connection:
        take(connection, limits, _MINUTE)
        _together.wait(_START_SECONDS)
        end = time.perf_counter() + SECONDS
        while (began := time.perf_counter()) < end:
            take(connection, limits, _MINUTE)
            taken.append(time.perf_counter() - began)
    return taken
