"""Where nothing collects traces: nothing is loaded, nothing waits, nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from moonx_pipeline.simulator.server import RunningSimulator, free_port
from moonx_pipeline_tests.fixtures.dagster import eventually, running_system
from moonx_pipeline_tests.support.outbox import event, put
from moonx_pipeline_tests.support.workers import ask, new_user, rows

_LOADED = """
import sys
import moonx_pipeline.definitions, moonx_pipeline.worker.program, moonx_pipeline.events.relay, moonx_pipeline.cli
from moonx_pipeline.settings import load_settings
from moonx_pipeline.tracing import load_tracing, start_tracing
load_tracing(load_settings())
start_tracing(load_settings(), "worker")
print(sorted(name for name in sys.modules if name.startswith("opentelemetry")))
"""


def test_without_a_collector_nothing_of_opentelemetry_is_loaded() -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run([sys.executable, "-c", _LOADED], env=clean, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_syncs_go_on_while_the_collector_is_away_and_events_keep_their_traces(
    postgres_server: str, simulator_server: RunningSimulator, tmp_path: Path
) -> None:
    away = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}", "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with running_system(postgres_server, simulator_server, tmp_path, **away) as system:
        worker = system.start_worker(1).until_ready()
        user = new_user(system)
        assert system.ended(system.launch(user)) == ["SUCCESS"]
        named = rows(system.engine, "SELECT DISTINCT headers->>'traceparent' FROM outbox_events WHERE key = %s", user)
        assert len({traceparent.split("-")[1] for (traceparent,) in named}) == 1

        def told() -> None:
            assert "Failed to export span" in worker.log

        eventually(told)
        assert worker.stop() == 0

        # This process records nothing.
        put(system.engine, event("nobody", 1))
        request = ask(system.engine, user)
        assert rows(system.engine, "SELECT headers FROM outbox_events WHERE key = 'nobody'") == [({},)]
        assert rows(system.engine, "SELECT traceparent FROM sync_requests WHERE id = %s::uuid", request) == [(None,)]
