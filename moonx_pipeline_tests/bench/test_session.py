"""A session of benchmarks: what one of them does to the others, and what is left of it."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from moonx_pipeline.bench import session as session_module
from moonx_pipeline.bench.figures import Figure, load
from moonx_pipeline.bench.session import Checkout, Session
from moonx_pipeline_tests.support.commands import moonx

_PROGRAM = """
import json, os, subprocess, sys, time
name, pipe = sys.argv[1], int(sys.argv[2])
os.set_inheritable(pipe, False)
def add(figure):
    os.write(pipe, json.dumps({"name": figure, "value": 1.5, "unit": "ms", "target": ""}).encode() + b"\\n")
add(name + "_first")
if name == "broken":
    sys.exit("The sweep of the benchmark failed.")
if name == "endless":
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    open("child", "w").write(str(child.pid))
    time.sleep(600)
add(name + "_last")
"""


def lives(pid: int) -> bool:
    """Whether a process runs; one that ended may wait for its new parent to notice."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Notes:
    """What a session says."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def begins(self, benchmark: str, busy_percent: float) -> None:
        assert 0 <= busy_percent <= 100
        self.said.append(f"begins {benchmark}")

    def figure(self, figure: Figure) -> None:
        self.said.append(figure.name)

    def failed(self, benchmark: str, reason: str) -> None:
        self.said.append(f"failed {benchmark}: {reason}")


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A revision whose benchmarks are good, broken and endless ones."""
    package = tmp_path / "revision" / "moonx_pipeline" / "bench"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    (package / "__main__.py").write_text(_PROGRAM)
    return Checkout(tmp_path / "revision", Path(sys.executable))


def test_a_benchmark_that_fails_costs_only_its_own_figures(checkout: Checkout, tmp_path: Path) -> None:
    notes = Notes()
    session = Session(checkout, tmp_path / "bench.json", notes)

    session.run(["broken", "good"])

    assert [said for said in notes.said if not said.startswith("failed")] == [
        "begins broken",
        "broken_first",
        "begins good",
        "good_first",
        "good_last",
    ]
    (failure,) = [said for said in notes.said if said.startswith("failed")]
    assert "exit code 1" in failure
    assert failure.endswith("The sweep of the benchmark failed.")
    assert session.has_failed
    assert [figure.name for figure in load(tmp_path / "bench.json")] == ["broken_first", "good_first", "good_last"]


def test_a_benchmark_that_does_not_end_is_ended_with_its_processes(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "_LONGEST", 2.0)
    monkeypatch.setattr(session_module, "_STOP_SECONDS", 0.1)
    session = Session(checkout, tmp_path / "bench.json", Notes())

    session.run(["endless", "good"])

    assert "did not end within 2 s" in session.benchmarks["endless"]["failed"]
    assert session.benchmarks["good"]["failed"] is None
    assert not lives(int((checkout.folder / "child").read_text()))


def test_a_named_benchmark_measures_prints_and_saves(tmp_path: Path) -> None:
    done = moonx("bench", "recovery", cwd=tmp_path, MOONX_HOME=str(tmp_path / "home"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("recovery_to_first_sync_ms ")
    assert "recovery (other programs use " in done.stderr
    assert [figure.name for figure in load(tmp_path / "home" / "bench.json")] == ["recovery_to_first_sync_ms"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["limit"], "There is no benchmark 'limit': there are sync, limits,"),
        (["--against", "nowhere", "limits"], "'nowhere' is neither a file nor a revision"),
    ],
)
def test_what_can_not_be_measured_is_said_before_anything_is(tmp_path: Path, arguments, said: str) -> None:
    done = moonx("bench", *arguments, cwd=tmp_path, MOONX_HOME=str(tmp_path / "home"))
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
