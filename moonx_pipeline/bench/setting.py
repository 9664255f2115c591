"""The setting of benchmarks: their own database and simulator."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from sqlalchemy import Engine
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from moonx_pipeline.bench.figures import Add
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


@dataclass(slots=True)
class Bench:
    """The system under test.

    Attributes:
        home: Its data folder.
        settings: Its settings.
        engine: Its database.
        runtime: What its syncs run with.
        simulator: Its providers, in this process.
        add: Reports a figure.
    """

    home: Path
    settings: Settings
    engine: Engine
    runtime: Runtime
    simulator: RunningSimulator
    add: Add

    def sync(self, user_id: str) -> StoredSync:
        return SyncPipeline(self.runtime).run(SyncSpec(uuid.uuid4(), user_id))


@contextmanager
def prepared(add: Add) -> Iterator[Bench]:
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
            yield Bench(Path(home), settings, engine, open_runtime(settings, engine), simulator, add)
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


@retry(retry=retry_if_exception_type(requests.RequestException), wait=wait_fixed(0.1), stop=stop_after_delay(90))
def await_gateway(port: int) -> None:
    """Waits until a gateway of this machine is ready."""
    requests.get(f"http://127.0.0.1:{port}/health/ready", timeout=5).raise_for_status()
