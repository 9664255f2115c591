"""Forked processes are processes like those that Python starts, and none outlives the tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from moonx_pipeline_tests.fixtures.dagster import eventually
from moonx_pipeline_tests.support.forked import ForkedProcess, run_module, start_module

pytestmark = pytest.mark.slow  # what it forks from imports all of the product first

_ENDLESS = ("http.server", "--bind", "127.0.0.1", "0")
_SESSION = f"""
import os, time
from moonx_pipeline_tests.support.forked import start_module
with open(os.devnull, "wb") as nowhere:
    print(start_module(*{_ENDLESS}, env=os.environ, cwd="/", stdout=nowhere, stderr=nowhere).pid, flush=True)
time.sleep(600)
"""


def test_forked_process_has_arguments_environment_folder_output_and_exit_code(tmp_path: Path) -> None:
    (tmp_path / "given.json").write_text("[1]")

    well = run_module("json.tool", "--compact", "given.json", env=os.environ, cwd=tmp_path)
    ill = run_module("json.tool", "missing.json", env=os.environ, cwd=tmp_path)
    told = run_module("moonx_pipeline", "config", "--json", env={**os.environ, "ALCHEMY_TIMEOUT": "4321"}, cwd=tmp_path)

    assert (well.returncode, well.stdout, well.stderr) == (0, "[1]\n", "")
    assert (ill.returncode != 0, ill.stdout, "missing.json" in ill.stderr) == (True, "", True)
    assert "4321" in json.dumps(json.loads(told.stdout))


def _leads_its_session(pid: int) -> None:
    assert os.getsid(pid) == pid


def test_forked_process_is_signalled_and_waited_for(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        process = start_module(*_ENDLESS, env=os.environ, cwd=tmp_path, stdout=log, stderr=log)

    assert isinstance(process, ForkedProcess)
    assert process.poll() is None
    eventually(lambda: _leads_its_session(process.pid))
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0)
    process.kill()
    assert (process.wait(), process.poll()) == (-signal.SIGKILL, -signal.SIGKILL)


def test_variable_that_python_reads_at_its_start_starts_python(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        process = start_module(
            *_ENDLESS, env={**os.environ, "PYTHONHASHSEED": "1"}, cwd=tmp_path, stdout=log, stderr=log
        )
        process.kill()

    assert isinstance(process, subprocess.Popen)
    assert process.wait() == -signal.SIGKILL


def test_forked_processes_end_with_a_session_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", _SESSION], stdout=subprocess.PIPE, text=True) as session:
        assert session.stdout is not None
        forked = psutil.Process(int(session.stdout.readline()))
        server = forked.parent()
        assert server is not None
        session.kill()

    assert psutil.wait_procs([forked, server], timeout=60)[1] == []
