"""The processes of ``moonx up``: known by a file, so that they end with it however it ends.

``python -m moonx_pipeline.cli.up_processes PID HOME`` watches the process PID, which is ``moonx up``: it writes down
which processes it has, and ends them when it is gone, be it killed. What outlives both of them is found in the file by
the next ``moonx up``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

_GRACE_SECONDS = 6.0
"""How long processes may take to end by themselves; the worker, which takes longest, hands its runs back in four."""
_LOOK_SECONDS = 0.5
_LOOKS_A_RECORD = 4


def start_watch(home: Path) -> None:
    """Starts the watch over this process, in a session of its own: what ends this one does not reach it."""
    subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", __name__, str(os.getpid()), str(home)],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def left_over(home: Path) -> list[psutil.Process]:
    """The processes that run for an earlier ``moonx up`` of this home, itself among them if it lives."""
    try:
        recorded = json.loads((home / "up.json").read_text())
    except (OSError, ValueError):
        return []
    found = []
    for pid, began in recorded:
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            # A process that was started later has only got the same number.
            if abs(process.create_time() - began) < 0.1 and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def described(process: psutil.Process) -> str:
    """A process in words: its program, its number and its ports."""
    with suppress(psutil.Error):
        words = process.cmdline()
        program = " ".join(words[words.index("-m") + 1 :][:2]) if "-m" in words else process.name()
        ports = {c.laddr.port for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
        listens = f", port {', '.join(map(str, sorted(ports)))}" if ports else ""
        return f"{program} (pid {process.pid}{listens})"
    return f"pid {process.pid}"


def end(processes: Iterable[psutil.Process]) -> None:
    """Ends processes and their children: by SIGTERM, and those that do not follow by SIGKILL."""
    ending = set(processes)
    for process in list(ending):
        with suppress(psutil.Error):
            ending.update(process.children(recursive=True))
    for process in ending:
        with suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(ending, timeout=_GRACE_SECONDS)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=_GRACE_SECONDS)


def _watch(parent_id: int, home: Path) -> None:
    processes: list[psutil.Process] = []
    file, looks = home / "up.json", 0
    written = ""
    # A killed process may stay in the table until somebody asks how it ended; its children change their parent at once.
    while os.getppid() == parent_id:
        if looks % _LOOKS_A_RECORD == 0:
            with suppress(psutil.Error, OSError):
                parent = psutil.Process(parent_id)
                now = [parent, *(p for p in parent.children(recursive=True) if p.pid != os.getpid())]
                if now != processes:
                    processes = now
                    written = _record(file, processes)
        looks += 1
        time.sleep(_LOOK_SECONDS)
    end(processes[1:])
    from moonx_pipeline.storage.connection.embedded import stop_unused

    stop_unused(home)
    with suppress(OSError):
        if file.read_text() == written:  # or else the next one has begun
            file.unlink()


def _record(file: Path, processes: list[psutil.Process]) -> str:
    written = json.dumps([(process.pid, process.create_time()) for process in processes])
    part = file.with_name(f"{file.name}.{os.getpid()}")
    part.write_text(written)
    part.replace(file)
    return written


if __name__ == "__main__":
    _watch(int(sys.argv[1]), Path(sys.argv[2]))
