"""Processes of a system whose main process was killed: they end with it, or are found by the next one."""

from __future__ import annotations

import os
import pty
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from tenacity import retry, stop_after_delay, wait_fixed

from moonx_pipeline_tests.support.commands import environment_with, moonx

_PARENT = """
import subprocess, sys, time
from pathlib import Path
from moonx_pipeline.cli.up_processes import start_watch
command = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]
child = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE, text=True)
start_watch(Path(sys.argv[1]))
print(child.pid, child.stdout.readline(), flush=True)
time.sleep(600)
"""


class Running(NamedTuple):
    parent: psutil.Process
    watch: psutil.Process
    child: psutil.Process
    port: str


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(tmp_path)], env=environment_with(), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        pid, port = re.findall(r"\d+", process.stdout.readline().replace("127.0.0.1", ""))[:2]
        parent, child = psutil.Process(process.pid), psutil.Process(int(pid))
        (watch,) = [one for one in parent.children() if one != child]
        _recorded(tmp_path, child)
        try:
            yield Running(parent, watch, child, port)
        finally:
            for one in (parent, watch, child):
                if one.is_running():
                    one.kill()


@retry(wait=wait_fixed(0.1), stop=stop_after_delay(20), reraise=True)
def _recorded(home: Path, child: psutil.Process) -> None:
    assert str(child.pid) in (home / "up.json").read_text()


def test_processes_end_with_their_parent_though_it_is_killed(running: Running, tmp_path: Path) -> None:
    running.parent.kill()

    assert psutil.wait_procs([running.child, running.watch], timeout=30)[1] == []
    assert not (tmp_path / "up.json").exists()


def test_the_embedded_database_ends_with_the_last_one_though_it_was_killed(tmp_path: Path) -> None:
    script = """
import sys, time
from pathlib import Path
from moonx_pipeline.cli.up_processes import start_watch
from moonx_pipeline.storage.connection.embedded import embedded_url
embedded_url(Path(sys.argv[1]))
start_watch(Path(sys.argv[1]))
print("ready", flush=True)
time.sleep(600)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], env=environment_with(), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        server = psutil.Process(int((tmp_path / "postgres" / "postmaster.pid").read_text().split()[0]))
        process.kill()

    assert psutil.wait_procs([server], timeout=30)[1] == []


def test_what_outlives_its_parent_is_named_and_ended_with_consent(running: Running, tmp_path: Path) -> None:
    running.watch.kill()
    running.parent.kill()

    refused = moonx("up", cwd=tmp_path, MOONX_HOME=str(tmp_path))

    assert refused.returncode == 1
    assert f"still runs: http.server --bind (pid {running.child.pid}, port {running.port})." in refused.stderr
    assert "'moonx up --replace' ends it first" in refused.stderr
    assert running.child.is_running()

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        replaced = moonx("up", "--replace", cwd=tmp_path, MOONX_HOME=str(tmp_path), WEBSERVER_PORT=port)

    assert f"Port {port} is taken" in replaced.stderr
    assert not running.child.is_running()


@pytest.mark.parametrize(("answer", "ended"), [("y", True), ("n", False)])
def test_on_a_terminal_it_asks_before_it_ends_what_is_left(
    answer: str, ended: bool, running: Running, tmp_path: Path
) -> None:
    running.watch.kill()
    running.parent.kill()
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "moonx_pipeline", "up"],
            env=environment_with(MOONX_HOME=str(tmp_path), WEBSERVER_PORT=port),
            cwd=tmp_path,
            stdin=theirs,
            capture_output=True,
            text=True,
            check=False,
        )
    os.close(ours)
    os.close(theirs)

    assert f"(pid {running.child.pid}, port {running.port}). End it? [y/N]" in done.stdout + done.stderr
    assert (f"Port {port} is taken" in done.stderr) == ended
    assert running.child.is_running() != ended


def test_another_process_of_the_same_number_is_left_alone(running: Running, tmp_path: Path) -> None:
    running.watch.kill()
    (tmp_path / "up.json").write_text(f"[[{running.child.pid}, {running.child.create_time() - 60}]]")

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = moonx("up", "--replace", cwd=tmp_path, MOONX_HOME=str(tmp_path), WEBSERVER_PORT=port)

    assert f"Port {port} is taken" in done.stderr
    assert running.child.is_running()
