"""Many users, on a separate database and with the simulator in a separate process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import requests
from sqlalchemy import Engine
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from moonx_pipeline.bench.figures import LATENCY_MS
from moonx_pipeline.bench.setting import UNLIMITED
from moonx_pipeline.providers.alchemy import Alchemy
from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.server import free_port, provider_settings
from moonx_pipeline.storage.connection.embedded import release
from moonx_pipeline.storage.connection.engine import ready_engine
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.sync.runtime import Runtime, open_runtime

_USERS = """
WITH numbers AS (SELECT i, 'user' || i AS id FROM generate_series(%(first)s, %(last)s) i), statuses AS (
    INSERT INTO user_sync_status (user_id, last_active_at, opened_fence, stored_fence)
    SELECT id, now(), 1, 1 FROM numbers
)
INSERT INTO user_wallets (user_id, wallet_address) SELECT id, '0x' || md5(i::text) || 'beefbeef' FROM numbers
"""


class ApartSimulator:
    """The simulator in a separate process, changed over HTTP."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self._process = psutil.Process(process.pid)
        self.url = url

    @retry(retry=retry_if_exception_type(requests.RequestException), wait=wait_fixed(0.1), stop=stop_after_delay(30))
    def change(self, what: str, **values: Any) -> None:
        """Calls one of its ``/admin`` routes."""
        requests.post(f"{self.url}/admin/{what}", json=values, timeout=5).raise_for_status()

    def stats(self) -> dict[str, Any]:
        """Requests and compute units so far."""
        found: dict[str, Any] = requests.get(f"{self.url}/admin/stats", timeout=5).json()
        return found


@dataclass(slots=True)
class Crowd:
    """The parts of a benchmark of many users; its processes get ``environment``."""

    home: Path
    environment: dict[str, str]
    settings: Settings
    engine: Engine
    runtime: Runtime
    simulator: ApartSimulator
    users: int = 0

    @property
    def alchemy(self) -> Alchemy:
        assert self.runtime.providers.alchemy is not None  # its key is set
        return self.runtime.providers.alchemy

    def grow_to(self, users: int) -> None:
        """Registers users, each active and due, with one wallet of 25 tokens."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql(_USERS, {"first": self.users + 1, "last": users})
        with autocommit(self.engine) as connection:
            connection.exec_driver_sql("ANALYZE user_sync_status, user_wallets, user_token_holdings, sync_operations")
        self.users = users

    def forget(self) -> None:
        """Deletes all users and their data."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql(
                "TRUNCATE user_sync_status, user_wallets, user_token_holdings, user_token_holdings_history, "
                "user_chain_status, sync_operations, outbox_events, outbox_packs, operation_packs, history_packs"
            )
        self.users = 0

    def make_due(self) -> None:
        """Makes all users due now."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE user_sync_status SET next_sync_at = now(), last_active_at = now()")

    def forget_lists(self) -> None:
        """Makes every wallet due to be listed anew."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE user_chain_status SET full_read_at = NULL")

    def age_prices(self) -> None:
        """Makes every stored price too old to be used without asking."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql(
                "UPDATE token_evidence SET read_at = read_at - interval '10 minutes', "
                "answered_at = answered_at - interval '10 minutes'"
            )

    def server_seconds(self) -> float:
        """CPU seconds used by the database server's live processes."""
        pid = int(next(self.home.rglob("postmaster.pid")).read_text().splitlines()[0])
        server = psutil.Process(pid)
        times = [process.cpu_times() for process in (server, *server.children())]
        return sum(spent.user + spent.system for spent in times)


@contextmanager
def crowd() -> Iterator[Crowd]:
    """An empty crowd; within it, the environment names its database and simulator."""
    with tempfile.TemporaryDirectory(prefix="moonx-bench-", ignore_cleanup_errors=True) as folder:
        port = free_port()
        environment = {**provider_settings(f"http://127.0.0.1:{port}"), **UNLIMITED, "MOONX_HOME": folder}
        process = subprocess.Popen(
            [sys.executable, "-m", "moonx_pipeline", "simulator", "--port", str(port)],
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
        )
        before = dict(os.environ)
        os.environ.update(environment)
        try:
            simulator = ApartSimulator(process, f"http://127.0.0.1:{port}")
            simulator.change("latency", all=LATENCY_MS)
            settings = Settings.from_environment(environment)
            engine = ready_engine(settings)
            yield Crowd(Path(folder), environment, settings, engine, open_runtime(settings, engine), simulator)
            engine.dispose()
        finally:
            os.environ.clear()
            os.environ.update(before)
            process.terminate()
            process.wait()
            release(Path(folder))
