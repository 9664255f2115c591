"""The benchmarks by name; each is run in a process, with a database and a simulator of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from moonx_pipeline.bench import bulk, core, limits, page, recovery, sockets, storage, sweeps, workers
from moonx_pipeline.bench.crowd import crowd
from moonx_pipeline.bench.figures import Add
from moonx_pipeline.bench.setting import prepared


def _sync(add: Add) -> None:
    """One user's sync, a portfolio of 3,000 tokens, and a run of the job."""
    with prepared(add) as running:
        core.single_sync(running)
        core.large_portfolio(running)
        core.memory(running)
        core.job_run(running)


def _limits(add: Add) -> None:
    """Circuit breakers and rate limits."""
    with prepared(add) as running:
        limits.breakers(running)
        limits.limiter(running)


def _recovery(add: Add) -> None:
    """From killing everything to the first sync."""
    with prepared(add) as running:
        recovery.recovery(running)


def _sweeps(add: Add) -> None:
    """Users a minute, CPU, calls and compute units of sweeps."""
    with crowd() as many:
        sweeps.throughput(add, many)
        sweeps.parts(add, many)
        sweeps.economy(add, many)


def _growth(add: Add) -> None:
    """The cost of a user with 1,000 to 100,000 users."""
    with crowd() as many:
        sweeps.growth(add, many)


def _storage(add: Add) -> None:
    """What an active user takes in the database when all prices move all the time."""
    with crowd() as many:
        storage.a_user(add, many)


def _workers(add: Add) -> None:
    """Runs of the job on warm workers."""
    with crowd() as many:
        workers.runs(add, many)
        workers.chains(add, many)


def _click(add: Add) -> None:
    """From a click on the page until it shows the change."""
    with crowd() as many:
        page.clicks(add, many)


def _bulk(add: Add) -> None:
    """Reads and clicks beside a bulk of requests."""
    with crowd() as many:
        bulk.during_bulk(add, many)


def _sockets(add: Add) -> None:
    """Delivery to thousands of sockets, and their memory."""
    with prepared(add) as running:
        sockets.sockets(running)


BENCHMARKS: Final[dict[str, Callable[[Add], None]]] = {
    "sync": _sync,
    "limits": _limits,
    "recovery": _recovery,
    "sweeps": _sweeps,
    "growth": _growth,
    "storage": _storage,
    "workers": _workers,
    "click": _click,
    "bulk": _bulk,
    "sockets": _sockets,
}
