"""The demo, as a stranger runs it."""

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from moonx_pipeline.simulator.evm_toolchain import Toolchain
from moonx_pipeline_tests.support.commands import ROOT, environment_with, moonx


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="moonx-demo-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def demo(home: Path, *arguments: str) -> str:
    done = moonx("demo", *arguments, cwd=home, MOONX_HOME=str(home / "state"), DAGSTER_HOME=str(ROOT))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_each_story_and_its_events_are_shown_in_the_first_and_the_second_run(home: Path) -> None:
    for _ in range(2):
        shown = demo(home)

        assert shown.count("Dagster run") == 6
        assert "Total $17,325.13" in shown
        assert "2,590 spam tokens hidden" in " ".join(shown.split())
        assert "partial in" in shown
        assert re.search(r"Polygon as of .* UTC, it did not answer", shown)
        assert "No tokens." in shown
        assert "6 syncs (5 completed, 1 partial)" in shown
        assert re.search(r"\d+ events delivered", shown)
        assert "did not arrive" not in shown
        assert "Try next:" in shown
    assert not (home / "state" / "postgres" / "postmaster.pid").exists()


def test_ctrl_c_in_the_middle_of_a_run_ends_it_with_a_word(home: Path) -> None:
    settings = {"MOONX_HOME": str(home / "state"), "DAGSTER_HOME": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "moonx_pipeline", "demo"],
        cwd=home,
        env=environment_with(**settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as started:
        assert any("demo-spam" in line for line in started.stdout)  # whose run comes next
        os.killpg(started.pid, signal.SIGINT)
        shown, said = started.communicate()

    assert (started.returncode, said.strip()) == (130, "moonx: stopped.")
    assert "demo-empty" not in shown
    assert not (home / "state" / "postgres" / "postmaster.pid").exists()


def test_on_real_chains_a_payment_between_two_syncs_is_seen(home: Path, evm_toolchain: Toolchain) -> None:
    shown = demo(home, "--chain", "anvil")

    assert evm_toolchain.bytecode
    assert "pays" in shown
    assert "3 syncs (3 completed)" in shown
    assert "read from your nodes" in shown
    assert "0 Alchemy compute units" in shown


@pytest.mark.parametrize("chain", ["anvil", "x; echo INJECTED", "x'; echo INJECTED", "$(shell echo INJECTED)"])
def test_a_chain_is_one_argument_whatever_it_holds(chain: str) -> None:
    told = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "demo", f"CHAIN={chain}"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
        capture_output=True,
        text=True,
        check=True,
    )

    assert shlex.split(told.stdout.splitlines()[-1])[-2:] == ["--chain", chain]
