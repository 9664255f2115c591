"""A session of benchmarks: each in a process of its own, whose figures are shown and saved as they come."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import psutil

from moonx_pipeline.bench.figures import Figure, save

_LONGEST: Final = 900.0
"""Seconds after which a benchmark is ended."""

_STOP_SECONDS: Final = 15.0
_SHOWN_LINES: Final = 12


class Listener(Protocol):
    """Shows what happens in a session."""

    def begins(self, benchmark: str, busy_percent: float) -> None: ...

    def figure(self, figure: Figure) -> None: ...

    def failed(self, benchmark: str, reason: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Checkout:
    """A revision's code with the Python that runs it.

    Attributes:
        folder: The root of the checkout.
        python: The interpreter of its environment.
    """

    folder: Path
    python: Path


@dataclass(slots=True)
class Session:
    """Runs benchmarks one after the other; one that fails costs only its own figures.

    Attributes:
        checkout: What is measured.
        report: The file of the figures.
        listener: Shows them.
        figures: All so far.
        benchmarks: By name: how busy the machine was before, how long it took, and why it failed, if it did.
    """

    checkout: Checkout
    report: Path
    listener: Listener
    figures: list[Figure] = field(default_factory=list)
    benchmarks: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def has_failed(self) -> bool:
        return any(about["failed"] for about in self.benchmarks.values())

    def run(self, names: Sequence[str]) -> None:
        """Runs the named benchmarks."""
        for name in names:
            busy = psutil.cpu_percent(interval=1.0)
            self.listener.begins(name, busy)
            about = self.benchmarks[name] = {"busyPercentBefore": busy, "seconds": None, "failed": "It did not end."}
            started = time.monotonic()
            about["failed"] = self._run_one(name)
            about["seconds"] = round(time.monotonic() - started, 1)
            if about["failed"]:
                self.listener.failed(name, about["failed"])
            self._save()

    def _run_one(self, name: str) -> str | None:
        """Runs one benchmark; returns why it failed, if it did."""
        log = self.report.parent / "bench" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        reading, writing = os.pipe()
        command = [str(self.checkout.python), "-m", "moonx_pipeline.bench", name, str(writing)]
        with log.open("wb") as output, os.fdopen(reading, "rb", buffering=0) as pipe:
            process = subprocess.Popen(
                command, cwd=self.checkout.folder, stdout=output, stderr=output, pass_fds=[writing]
            )
            os.close(writing)
            try:
                end = time.monotonic() + _LONGEST
                for line in _lines(pipe.fileno(), process, end):
                    self.figures.append(Figure(**json.loads(line)))
                    self.listener.figure(self.figures[-1])
                    self._save()
                is_late = process.poll() is None and time.monotonic() >= end
            finally:
                _end(process)
        if is_late:
            return f"It did not end within {_LONGEST:.0f} s. Its log: {log}"
        if process.returncode != 0:
            said = log.read_text(errors="replace").splitlines()[-_SHOWN_LINES:]
            return "\n".join([f"It ended with exit code {process.returncode}. Its log: {log}", *said])
        return None

    def _save(self) -> None:
        save(self.report, self.figures, self.benchmarks)


def _lines(pipe: int, process: subprocess.Popen[bytes], end: float) -> Iterator[bytes]:
    """Whole lines from a pipe until it is closed, the process has ended, or the time is over."""
    buffer = b""
    while (left := end - time.monotonic()) > 0:
        ready, _, _ = select.select([pipe], [], [], min(left, 0.5))
        if ready:
            data = os.read(pipe, 65536)
            if not data:
                return
            *whole, buffer = (buffer + data).split(b"\n")
            yield from whole
        elif process.poll() is not None:
            return


def _end(process: subprocess.Popen[bytes]) -> None:
    """Waits for a process that is about to end, or ends it with all that it started."""
    try:
        process.wait(_STOP_SECONDS)
    except BaseException as problem:
        with suppress(psutil.NoSuchProcess):
            tree = psutil.Process(process.pid)
            for each in [*tree.children(recursive=True), tree]:
                with suppress(psutil.NoSuchProcess):
                    each.kill()
        process.wait()
        if not isinstance(problem, subprocess.TimeoutExpired):
            raise
