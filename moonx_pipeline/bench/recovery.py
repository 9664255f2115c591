"""The time from killing everything to the first sync that succeeds."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
import uuid
from contextlib import suppress

import psutil

from moonx_pipeline.bench.setting import Bench
from moonx_pipeline.storage.connection.engine import open_engine
from moonx_pipeline.sync.pipeline import SyncPipeline
from moonx_pipeline.sync.runtime import open_runtime
from moonx_pipeline.sync.spec import SyncSpec

_FIRST_SYNC = """
import uuid
from moonx_pipeline.settings import load_settings
from moonx_pipeline.storage.connection.engine import ready_engine
from moonx_pipeline.sync.spec import SyncSpec
from moonx_pipeline.sync.runtime import open_runtime
from moonx_pipeline.sync.pipeline import SyncPipeline
engine = ready_engine(load_settings())
stored = SyncPipeline(open_runtime(load_settings(), engine)).run(SyncSpec(uuid.uuid4(), "plain"))
with engine.connect() as connection:
    lost = connection.exec_driver_sql("SELECT count(*) FROM sync_operations WHERE error_code = 'sync_worker_lost'")
    assert (stored.status, lost.scalar_one()) == ("completed", 1)
"""


def recovery(running: Bench) -> None:
    """Kills a worker in the middle of a sync and the database server, then starts one new process."""
    url = running.engine.url.render_as_string(hide_password=False)
    process = multiprocessing.get_context("fork").Process(target=_open_and_hang, args=(url, running))
    process.start()
    process.join()
    running.engine.dispose()
    server = psutil.Process(int(next(running.home.rglob("postmaster.pid")).read_text().splitlines()[0]))
    for process_of_server in [server, *server.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            process_of_server.kill()
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", _FIRST_SYNC], check=True, cwd=running.home)
    running.add("recovery_to_first_sync_ms", (time.perf_counter() - started) * 1000, "ms", "< 5000")


def _open_and_hang(url: str, running: Bench) -> None:
    engine = open_engine(url)
    SyncPipeline(open_runtime(running.settings, engine)).open(SyncSpec(uuid.uuid4(), "plain"))
    os.kill(os.getpid(), signal.SIGKILL)
