"""Processes of the product that begin where its modules are imported: starting Python anew takes seconds.

A server imports what all of them need, once a session, and forks for each that is asked for. What it forks is a process
like any other: its own session, environment, folder and output, and an exit code. When the session ends, however it
does, the server kills what it has forked.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from typing import IO, Any, Final

_IMPORTED: Final = (
    "dagster._cli",
    "dagster._daemon.cli",
    "dagster_webserver.cli",
    "moonx_pipeline.defs.instance_storage",
    "moonx_pipeline.defs.resources",
    "moonx_pipeline.defs.run_coordinator",
    "moonx_pipeline.defs.run_launcher",
    "moonx_pipeline.defs.webserver",
    "moonx_pipeline.gateway.app",
    "moonx_pipeline.worker.process",
)
"""None of them reads settings while it is imported, as modules with schedules and ops do."""

_OF_PYTHON: Final = ("PYTHON", "LD_", "LC_", "LANG", "TZ")
"""Variables that Python reads when it starts."""

_MOST_BYTES: Final = 1 << 17


class ForkedProcess:
    """What tests use of :class:`subprocess.Popen`."""

    def __init__(self, pid: int, end: Connection, arguments: tuple[str, ...]) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._end = end
        self._arguments = arguments

    def poll(self) -> int | None:
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self._arguments, timeout or 0)
        return code

    def _look(self, seconds: float | None) -> int | None:
        if self.returncode is None and self._end.poll(seconds):
            self.returncode = self._end.recv()
            self._end.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


Process = ForkedProcess | subprocess.Popen[bytes]


def start_module(*arguments: str, env: Mapping[str, str], cwd: Path | str, stdout: IO[Any], stderr: IO[Any]) -> Process:
    """Starts ``python -m`` with arguments, in a session of its own and without input."""
    # Processes that share their metrics declare them after it is known where: not in the server.
    shares_metrics = "worker" in arguments and bool(env.get("METRICS_PORT"))
    if _of_python(env) == _of_python(os.environ) and not shares_metrics:
        return _server().fork(arguments, env, cwd, stdout, stderr)
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )


def run_module(*arguments: str, env: Mapping[str, str], cwd: Path | str) -> subprocess.CompletedProcess[str]:
    """Runs ``python -m`` with arguments to its end; returns its exit code and what it said."""
    with TemporaryFile("w+") as stdout, TemporaryFile("w+") as stderr:
        code = start_module(*arguments, env=env, cwd=cwd, stdout=stdout, stderr=stderr).wait()
        stdout.seek(0)
        stderr.seek(0)
        return subprocess.CompletedProcess(arguments, code, stdout.read(), stderr.read())


def _of_python(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_OF_PYTHON)}


@cache
def _server() -> _Server:
    return _Server()


class _Server:
    """This session's end of the server, which ends with the session."""

    def __init__(self) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = Lock()
        with theirs:
            subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                cwd=Path(__file__).parents[2],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def fork(
        self, arguments: tuple[str, ...], env: Mapping[str, str], cwd: Path | str, stdout: IO[Any], stderr: IO[Any]
    ) -> ForkedProcess:
        end, told = Pipe(duplex=False)
        request = json.dumps([arguments, dict(env), str(cwd)]).encode()
        with told, self._lock:
            socket.send_fds(self._requests, [request], [stdout.fileno(), stderr.fileno(), told.fileno()])
            answer = self._requests.recv(_MOST_BYTES)
        assert answer, "the server of forks has ended"
        return ForkedProcess(int(answer), end, arguments)


def _serve(requests: socket.socket) -> list[str]:
    """Forks for each request until there can be no more; returns in what was forked, with its arguments."""
    running: dict[int, tuple[int, Connection]] = {}
    selector = selectors.DefaultSelector()
    selector.register(requests, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is not requests:
                pid, end = running.pop(key.fd)
                selector.unregister(key.fd)
                os.close(key.fd)
                with end, suppress(BrokenPipeError):
                    end.send(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                continue
            request, descriptors, _, _ = socket.recv_fds(requests, _MOST_BYTES, 3)
            if not request:
                for pid, _ in running.values():
                    with suppress(ProcessLookupError):
                        os.killpg(pid, signal.SIGKILL)
                    os.kill(pid, signal.SIGKILL)  # one that has just been forked leads no group yet
                os._exit(0)
            pid = os.fork()
            if pid == 0:
                selector.close()
                requests.close()
                for descriptor, (_, end) in running.items():
                    os.close(descriptor)
                    end.close()
                return _become(request, descriptors)
            stdout, stderr, told = descriptors
            os.close(stdout)
            os.close(stderr)
            descriptor = os.pidfd_open(pid)
            running[descriptor] = pid, Connection(told, readable=False)
            selector.register(descriptor, selectors.EVENT_READ)
            requests.send(str(pid).encode())


def _become(request: bytes, descriptors: list[int]) -> list[str]:
    """Makes this process what was asked for; returns its arguments."""
    arguments, environment, folder = json.loads(request)
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for descriptor, number in zip(descriptors, (1, 2, None), strict=True):
        if number is not None:
            os.dup2(descriptor, number)
        os.close(descriptor)
    return list(arguments)


if __name__ == "__main__":
    for name in _IMPORTED:
        importlib.import_module(name)
    gc.freeze()
    sys.argv = _serve(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
