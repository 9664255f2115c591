"""The product's processes in a rig: frozen, killed, and started again when they end, as an orchestrator does."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil
import requests

from moonx_pipeline_tests.fixtures.dagster import ROOT
from moonx_pipeline_tests.support.forked import Process, start_module

_STOP_SECONDS: Final = 15
_LOOK_SECONDS: Final = 0.5


def processes_of(pid: int) -> list[psutil.Process]:
    """A process and all below it that live."""
    with suppress(psutil.Error):
        first = psutil.Process(pid)
        return [one for one in (first, *first.children(recursive=True)) if one.status() != psutil.STATUS_ZOMBIE]
    return []


def send(processes: list[psutil.Process], number: int) -> None:
    """Sends a signal to processes, as far as they live."""
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(number)


class Part:
    """One process of the product with its children.

    Attributes:
        name: Such as ``worker1``.
        ended: How often it ended by itself.
    """

    def __init__(
        self, name: str, arguments: tuple[str, ...], environment: Mapping[str, str], folder: Path, *, health: str = ""
    ) -> None:
        """Starts nothing yet.

        Args:
            name: A name.
            arguments: What follows ``python -m``.
            environment: All of its environment.
            folder: Where its log goes.
            health: The URL of its readiness; empty where it has none.
        """
        self.name = name
        self.ended = 0
        self._arguments = arguments
        self._environment = dict(environment)
        self._extra: dict[str, str] = {}
        self._folder = folder
        self._health = health
        self._process: Process | None = None
        self._lock = threading.RLock()

    def start(self, **extra: str) -> None:
        """Starts it, with further variables until it is stopped."""
        with self._lock, self._log_path.open("ab") as log:
            self._extra = extra
            environment = {**self._environment, **extra}
            self._process = start_module(*self._arguments, env=environment, cwd=ROOT, stdout=log, stderr=log)

    @property
    def _log_path(self) -> Path:
        return self._folder / f"{self.name}.log"

    @property
    def log(self) -> str:
        return self._log_path.read_text(errors="replace") if self._log_path.exists() else ""

    def look_after(self) -> None:
        """Starts it again if it has ended by itself."""
        with self._lock:
            if self._process is not None and self._process.poll() is not None:
                self.ended += 1
                self._end_rest()
                self.start(**self._extra)

    def processes(self) -> list[psutil.Process]:
        """Its processes that live."""
        with self._lock:
            return [] if self._process is None else processes_of(self._process.pid)

    def freeze(self) -> None:
        send(self.processes(), signal.SIGSTOP)

    def thaw(self) -> None:
        send(self.processes(), signal.SIGCONT)

    def freeze_child(self) -> Callable[[], None]:
        """Freezes one child; returns what thaws it."""
        child = self.processes()[1:2]
        send(child, signal.SIGSTOP)
        return lambda: send(child, signal.SIGCONT)

    def kill_child(self) -> None:
        send(self.processes()[1:2], signal.SIGKILL)

    def kill(self) -> None:
        """The end of all of its processes at once, until it is started again."""
        with self._lock:
            send(self.processes(), signal.SIGKILL)
            if self._process is not None:
                self._process.wait()
                self._end_rest()
            self._process = None

    def stop(self) -> None:
        """Stops it in order; by force if that does not help."""
        with self._lock:
            if self._process is not None:
                self.thaw()
                self._process.send_signal(signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(_STOP_SECONDS)
            self.kill()

    def _end_rest(self) -> None:
        """Ends what is left of its session."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def why_unhealthy(self) -> str | None:
        """What its own health says is wrong, needed or not; ``None`` if all is well."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                return "It does not run."
        if not self._health:
            return None
        try:
            found = requests.get(self._health, timeout=5).json()
        except requests.RequestException as problem:
            return f"Its health does not answer ({type(problem).__name__})."
        if "dependencies" not in found:
            return f"Its health says {found}."
        wrong = [f"{name}: {one['error']}" for name, one in found["dependencies"].items() if not one["ok"]]
        return "; ".join(wrong) or None


class Supervisor:
    """Looks after parts on a thread."""

    def __init__(self, parts: list[Part]) -> None:
        self._parts = parts
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stopped.wait(_LOOK_SECONDS):
            for part in self._parts:
                part.look_after()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
